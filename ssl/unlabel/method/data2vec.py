"""data2vec: A General Framework for Self-supervised Learning in Speech, Vision and Language.

arXiv:2202.03555
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch
from unlabel.method._patches import PatchMethod, chosen, copied, count_hidden, with_patches
from unlabel.metric import Metric
from unlabel.nn.distributed import gather
from unlabel.nn.layers import Teacher
from unlabel.nn.patches import random_mask
from unlabel.ranges import Count, PartialShare, Positive, Share


class Data2Vec(PatchMethod):
    """Predict what a momentum teacher, which sees the whole image, makes of hidden patches."""

    logs = (LOSS, Metric("target_deviation", "deviation of the targets"))

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        hidden: PartialShare = 0.6,
        layers: Count = 6,  # of the teacher, from the last, whose mean is the target
        beta: Positive = 2.0,  # errors up to this are squared
        momentum: Share = 0.9998,
    ):
        super().__init__(with_patches(encoder, "data2vec"), data)
        self.augment, self.layers, self.beta = augment, layers, beta
        self.patches, self.hidden = self.encoder.grid**2, count_hidden(self.encoder, hidden)
        self.token = nn.Parameter(torch.randn(encoder.dim) * 0.02)
        self.predict = nn.Linear(encoder.dim, encoder.dim)
        self.teacher, self.momentum = Teacher(encoder), momentum

    def step(self, batch: Batch) -> Iterator[Tensor]:
        x = self.augment(batch.x)
        mask = random_mask(x, self.patches, self.hidden)
        with torch.no_grad():
            target = average_layers(copied(self.teacher).layers(x), self.layers)
            target = chosen(target, mask, self.hidden)
        tokens = self.encoder.masked(x, mask, self.token)[:, 1:]
        guess = self.predict(chosen(tokens, mask, self.hidden))
        self.measure(lambda: {"target_deviation": gather(target).flatten(0, 1).std(0).mean()})
        yield F.smooth_l1_loss(guess.float(), target, beta=self.beta)  # equation 3
        self.teacher.follow(self.encoder, self.momentum, batch.share)


def average_layers(tokens: Tensor, last: int) -> Tensor:
    """Section 3.3: (B, L, 1 + N, D) -> the mean of the last layers' patch tokens (B, N, D).

    Each layer's tokens are normalised first and, as in the authors' code, so is their mean.
    """
    tokens = tokens[:, -last:, 1:].float()
    mean = F.layer_norm(tokens, tokens.shape[3:]).mean(1)
    return F.layer_norm(mean, mean.shape[2:])
