"""Cross-entropy on all labels: the reference for methods without labels."""

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method
from unlabel.nn.distributed import gather


class Supervised(Method):
    """A linear classifier on the encoder, trained jointly with it."""

    labels = True

    def __init__(self, encoder: Encoder, data: Data, augment: Augment):
        super().__init__(encoder, data)
        self.augment = augment
        self.classify = nn.Linear(encoder.dim, len(data.classes))

    def step(self, batch: Batch) -> Iterator[Tensor]:
        logits = self.classify(self.encoder(self.augment(batch.x)))  # (B, classes)
        # Gather, because processes may have different numbers of labels.
        yield F.cross_entropy(gather(logits), gather(batch.y), ignore_index=-1)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return {"image": x, "augmented": self.augment(x)}
