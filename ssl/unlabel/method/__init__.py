"""The one interface every pretraining method fits. Each other file in this folder is a method."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.metric import Metric

LOSS = Metric("loss", "loss", better="lower")


class Batch(NamedTuple):
    """Everything one training step may depend on."""

    x: Tensor  # images in [0, 1]                (B, C, H, W)
    y: Tensor  # labels, -1 where there is none  (B,)
    i: Tensor  # which of the data.size images    (B,)
    t: float  # training progress, 0 to 1


class Method(nn.Module):
    """An objective wrapped around the encoder it trains; `encoder` is the product.

    `measures` holds what `step` found worth logging beside its losses: names to scalars. `logs`
    declares both: a single loss is logged as `loss`, several as `loss_1`, `loss_2`, ...
    """

    labels = False  # does the method see labels?
    logs: Sequence[Metric] = (LOSS,)

    def __init__(self, encoder: Encoder, data: Data):
        super().__init__()
        self.encoder = encoder
        self.measures: Mapping[str, Tensor] = {}

    @classmethod
    def logged(cls, settings: Mapping[str, Any]) -> Sequence[Metric]:
        """What a training logs with `settings`, the arguments of `__init__`."""
        return cls.logs

    def step(self, batch: Batch) -> Iterator[Tensor]:
        """Yield each loss to minimise; what follows a `yield` sees the updated weights."""
        raise NotImplementedError

    def players(self) -> Sequence[nn.Module]:
        """The modules that take turns: the n-th loss updates the n-th player."""
        return [self]

    def embed(self, h: Tensor) -> Tensor | None:
        """Features h (B, D) -> the projector's output z (B, d), where there is a projector."""
        return None

    def show(self, x: Tensor) -> dict[str, Tensor]:
        """What a person wants to see of the method: caption -> images in [0, 1] (B, C, H, W)."""
        return {}
