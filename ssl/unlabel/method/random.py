"""No training: the encoder as initialised, the baseline of every method."""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from unlabel.method import Batch, Method


class Random(Method):
    """An untrained encoder."""

    logs = ()

    def players(self) -> Sequence[nn.Module]:
        return []

    def step(self, batch: Batch) -> Iterator[Tensor]:
        return iter(())
