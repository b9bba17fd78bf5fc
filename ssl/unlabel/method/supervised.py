"""Cross-entropy on all labels: the reference for methods without labels."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method
from unlabel.nn.distributed import gather
from unlabel.ranges import Count


class Supervised(Method):
    """A linear classifier on the encoder, trained jointly with it."""

    labels = True

    def __init__(self, encoder: Encoder, data: Data, augment: Augment, views: Count = 1):
        super().__init__(encoder, data)
        self.augment, self.views = augment, views  # a step sees each image so many times
        self.classify = nn.Linear(encoder.dim, len(data.classes))

    def step(self, batch: Batch) -> Iterator[Tensor]:
        views = torch.cat([self.augment(batch.x) for _ in range(self.views)])
        logits = self.classify(self.encoder(views))  # (views * B, classes)
        # Gather, because processes may have different numbers of labels.
        y = gather(batch.y).repeat(self.views)
        yield F.cross_entropy(gather(logits, self.views), y, ignore_index=-1)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return {"image": x, "augmented": self.augment(x)}
