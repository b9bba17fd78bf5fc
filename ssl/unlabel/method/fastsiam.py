"""FastSiam: Resource-Efficient Self-supervised Learning on a Single GPU.

Pototzky, Sultan and Schmidt-Thieme, GCPR 2022, doi:10.1007/978-3-031-16788-1_4
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch
from unlabel.method.simsiam import SimSiam, distance
from unlabel.nn.distributed import gather
from unlabel.nn.spectrum import deviation
from unlabel.ranges import Count


class FastSiam(SimSiam):
    """SimSiam with a target that is the mean of several views, and so varies less."""

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count = 512,
        dim: Count = 2048,
        layers: Count = 3,
        targets: Count = 3,  # views in the mean
    ):
        super().__init__(encoder, data, augment, width, dim, layers)
        self.targets = targets

    def step(self, batch: Batch) -> Iterator[Tensor]:
        views = [self.augment(batch.x) for _ in range(self.targets + 1)]
        z = [self.project(self.encoder(view)) for view in views]
        self.measure(lambda: {"projector_deviation": deviation(gather(z[0]))})
        yield mean_target([self.predict(each) for each in z], z)


def mean_target(p: list[Tensor], z: list[Tensor]) -> Tensor:
    """Each view's prediction against the mean of the other views' projections: (B, D) each."""
    others = [torch.stack(z[:i] + z[i + 1 :]).mean(0) for i in range(len(z))]
    return torch.stack([distance(a, b) for a, b in zip(p, others, strict=True)]).mean()
