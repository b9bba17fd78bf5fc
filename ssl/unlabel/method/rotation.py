"""Unsupervised Representation Learning by Predicting Image Rotations. arXiv:1803.07728"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment, Size, check_square, rotate
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method, Settings
from unlabel.method._metrics import PRETEXT_ACCURACY


class Rotation(Method):
    """Predict by how many quarter turns an image was rotated. The batch has all four rotations."""

    logs = (LOSS, PRETEXT_ACCURACY)

    def __init__(self, encoder: Encoder, data: Data, augment: Augment):
        super().__init__(encoder, data)
        self.augment = augment
        self.classify = nn.Linear(encoder.dim, 4)

    @classmethod
    def inputs(cls, settings: Settings, size: Size) -> list[Size]:
        check_square(settings["augment"].size(size))
        return super().inputs(settings, size)

    def step(self, batch: Batch) -> Iterator[Tensor]:
        x = self.augment(batch.x)
        turns = torch.arange(4, device=x.device).repeat_interleave(len(x))  # (4B,)
        logits = self.classify(self.encoder(rotate(x.repeat(4, 1, 1, 1), turns)))
        self.measure(lambda: {"accuracy": (logits.argmax(1) == turns).float().mean()})
        yield F.cross_entropy(logits, turns)  # equations 1 to 3

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        turns = torch.arange(len(x), device=x.device) % 4
        turned = rotate(x, turns)
        guess = self.classify(self.encoder(turned)).argmax(1)
        return {"image": x, "rotated": turned, "undone as predicted": rotate(turned, -guess % 4)}
