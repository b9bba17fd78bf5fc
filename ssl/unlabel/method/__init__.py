"""The interface of all pretraining methods. Each other file in this folder is a method."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unlabel.augment import Augment, Size
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.metric import Metric

Settings = Mapping[str, Any]

LOSS = Metric("loss", "loss", better="lower")


class Batch(NamedTuple):
    """Everything that a training step may depend on."""

    x: Tensor  # images in [0, 1] (B, C, H, W)
    y: Tensor  # labels, -1 for an unlabelled image (B,)
    i: Tensor  # indices into the data.size images (B,)
    t: float  # training progress, 0 to 1
    share: float = 1.0  # how much of the step's batch this is, if a step takes it in parts


class Method(nn.Module):
    """An objective wrapped around the encoder it trains; `encoder` is the product.

    A step logs its losses, and the scalars that it gives to `measure`. `logs` declares both: a
    single loss is logged as `loss`, several as `loss_1`, `loss_2`, ...
    """

    labels = False  # whether the method uses labels
    needs_weights = False  # whether its encoder must start from some
    logs: Sequence[Metric] = (LOSS,)
    logging = True  # whether the next step is logged

    def __init__(self, encoder: Encoder, data: Data):
        super().__init__()
        self.encoder = encoder
        self.measures: Mapping[str, Tensor] = {}

    @classmethod
    def logged(cls, settings: Settings) -> Sequence[Metric]:
        """What a training logs with `settings`, the arguments of `__init__`."""
        return cls.logs

    @classmethod
    def inputs(cls, settings: Settings, size: Size) -> list[Size]:
        """The sizes of what the encoder sees: images of a `size`, and what a step makes of them.

        `settings` are the arguments of `__init__`, with its augmentations built; without `crops`,
        `local` makes no views. Raises `UserError` if the method can do nothing with such images.
        """
        unused = "" if settings.get("crops", True) else "local"
        made = [each for name, each in settings.items() if name != unused]
        return [size, *(each.size(size) for each in made if isinstance(each, Augment))]

    @classmethod
    def needs_patches(cls, settings: Settings) -> bool:
        """Must the encoder cut images into patches, as a ViT does?"""
        return False

    @classmethod
    def fitted(cls, settings: Settings, images: int, batch: int) -> Settings:
        """`settings`, changed where they need more `images` to train on than there are."""
        return settings

    def step(self, batch: Batch) -> Iterator[Tensor]:
        """Yield each loss to minimise. Code after a `yield` sees the updated weights."""
        raise NotImplementedError

    @torch.no_grad()
    def measure(self, measures: Callable[[], Mapping[str, Tensor]]) -> None:
        """Keep scalars by their names in `self.measures`; only a step that is logged makes them."""
        if self.logging:
            self.measures = {name: value.detach() for name, value in measures().items()}

    def players(self) -> Sequence[nn.Module]:
        """The modules that take turns. The n-th loss updates the n-th module."""
        return [self]

    def embed(self, h: Tensor) -> Tensor | None:
        """Project features: h (B, D) -> z (B, d), or None if there is no projection head."""
        return None

    def show(self, x: Tensor) -> dict[str, Tensor]:
        """Pictures for the report: images (B, C, H, W) -> {caption: images in [0, 1]}."""
        return {}
