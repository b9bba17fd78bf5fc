"""Out-of-Distribution Detection with Deep Nearest Neighbors. arXiv:2204.06507"""

import sys
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from unlabel.data.images import Images
from unlabel.data.loader import batches
from unlabel.data.splits import random_subset
from unlabel.errors import UserError
from unlabel.features.extract import to_shape
from unlabel.metric import Metric
from unlabel.nn.nearest import most_similar, units
from unlabel.probe._trained import EncoderProbe, Trained
from unlabel.ranges import Count

BATCH = 500
QUERIES = 256  # compared at a time


class Detection(EncoderProbe):
    """AUROC of telling images of another dataset from test images, by the k-th nearest neighbour.

    An image's score is the distance to its k-th nearest training image, of features of length 1
    (section 3). Other datasets are brought into the encoder's shape. 0.5 is chance. No other image
    is seen before, and k is a setting, so nothing is chosen.
    """

    labels = False

    def __init__(self, others: Sequence[str], k: Count = 50, images: Count = 2000):
        self.others, self.k, self.images = others, k, images

    def metrics(self) -> Iterable[Metric]:
        for name in self.others:
            title = f"AUROC of detecting {name.replace('_', ' ')}"
            yield Metric(f"detection_{name}", title, share=True, better="higher")

    def measure_encoder(self, trained: Trained, seed: int) -> dict[str, float]:
        """`detection_DATASET` for each other dataset whose channels the encoder can see."""
        bank = trained.features.train.h
        known = self._distance(trained.features.test.h[: self.images], bank)
        measures = {}
        for name, images in trained.others.items():
            if why := _unseen(images, trained.encoder.data.shape):
                print(f"detection: not of {name}: {why}", file=sys.stderr)
                continue
            x = self._features(trained, random_subset(images, self.images))
            measures[f"detection_{name}"] = auroc(self._distance(x, bank), known)
        return measures

    def _features(self, trained: Trained, images: Images) -> Tensor:
        shape = trained.encoder.data.shape
        parts = batches(images, BATCH, trained.hardware.workers)
        pixels = (trained.hardware.pixels(part.image) for part in parts)
        return torch.cat([trained.embed(to_shape(x, shape)) for x in pixels])

    def _distance(self, x: Tensor, bank: Tensor) -> Tensor:
        """To the k-th nearest of a bank (N, D), from features (M, D): (M,)."""
        similarity, _ = most_similar(x, units(bank), min(self.k, len(bank)), QUERIES)
        return 1 - similarity[:, -1]


def _unseen(images: Images, shape: tuple[int, int, int]) -> str:
    """Why an encoder of images of a shape cannot see others; empty if it can."""
    try:
        to_shape(torch.empty(1, *images.image.shape[1:]), shape)
    except UserError as error:
        return str(error)
    return ""


def auroc(higher: Tensor, lower: Tensor) -> float:
    """How often one of the first scores (n,) is above one of the second (m,); a tie counts half."""
    ordered = lower.double().sort().values
    below = torch.searchsorted(ordered, higher.double())
    up_to = torch.searchsorted(ordered, higher.double(), right=True)
    return ((below + up_to).double().mean() / 2 / len(lower)).item()
