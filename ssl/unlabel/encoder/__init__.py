"""The interface of all encoders: images in, features out. Each other file here is an encoder."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from inspect import ismethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unlabel import weights
from unlabel.augment import Size
from unlabel.data.images import Data
from unlabel.errors import UserError, damage
from unlabel.nn.gradient_cache import in_chunks
from unlabel.params.settings import build

Moments = tuple[tuple[float, ...], tuple[float, ...]]  # the mean and deviation of each channel


class Encoder(nn.Module):
    """Maps images in [0, 1] to features, after normalising by the dataset's mean and deviation.

    A subclass sets `dim`, the length of a feature vector, and defines `maps`. Its network sees as
    many channels as there are means; with several, grey images are made colour. The mean and the
    deviation are no part of the weights, so a torchvision model keeps torchvision's names.
    """

    dim: int
    patches = False  # has it `tokens`, one for each patch of the image? See `Tokens`
    mean: Tensor
    std: Tensor
    chunk: int | None = None  # images per pass while it trains; see `chunked`
    compiled = False  # whether its passes in training are compiled; see `compile_passes`

    def __init__(self, data: Data):
        super().__init__()
        self.data = data
        self.register_buffer("mean", torch.tensor(data.mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(data.std).view(-1, 1, 1), persistent=False)

    @classmethod
    def check(cls, settings: Mapping[str, Any], size: Size, seen: Iterable[Size]) -> None:
        """Raise `UserError` if an encoder cannot be trained on images of a `size`.

        `settings` are all arguments of `__init__` but the data; `seen` are the sizes of what a
        method shows it. Convolutions see any image.
        """

    @classmethod
    def without_patches(cls, settings: Mapping[str, Any], size: Size | None) -> str:
        """What has no `tokens` of images of a size, in words; empty if they are there."""
        return "" if cls.patches else cls.__name__

    @classmethod
    def recorded(cls, settings: Mapping[str, Any]) -> Moments | None:
        """How images are normalised for weights of this network; None if nobody says."""
        return None

    @classmethod
    def published(cls, settings: Mapping[str, Any]) -> tuple[dict[str, Tensor], Moments | None]:
        """Its published weights, and how images are normalised for them.

        Raises `UserError` if there are none, or they cannot be fetched.
        """
        raise UserError(
            f"no weights of {cls.__name__} are published; choose encoder=torchvision or "
            "encoder=timm, or name a file with encoder.weights"
        )

    def normalise(self, x: Tensor) -> Tensor:
        """Scale images in [0, 1] by the mean and the deviation: (B, C, H, W)."""
        return (x - self.mean) / self.std

    def maps(self, x: Tensor) -> Tensor:
        """Feature maps of images in [0, 1]: (B, C, H, W) -> (B, D, h, w)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Features of images in [0, 1], the mean over positions: (B, C, H, W) -> (B, D)."""
        return self.in_chunks(self._pooled, x)

    def in_chunks(self, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        """Apply an encoder's function to inputs (B, ...), in training `chunk` images at a time."""
        if self.training and self.compiled and ismethod(function):
            function = partial(_compiled(function.__func__), function.__self__)
        return in_chunks(self, function, self.chunk if self.training else None, *inputs)

    def _pooled(self, x: Tensor) -> Tensor:
        # Channels last, as in memory, so that the gradient has this layout too.
        return self.maps(x).permute(0, 2, 3, 1).flatten(1, 2).mean(1)


@cache
def _compiled(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return torch.compile(method, dynamic=False)  # for each size of images apart


def compile_passes(module: nn.Module) -> None:
    """Have torch compile what each encoder in `module` computes in training, when it first does.

    The modules and the names of their weights stay as they are. Passes that put a token in the
    place of patches (`Tokens.masked`) are not compiled.
    """
    for each in module.modules():
        if isinstance(each, Encoder):
            each.compiled = True


@contextmanager
def chunked(module: nn.Module, size: int | None) -> Iterator[None]:
    """Inside, each encoder in `module` that trains sees `size` images at a time; None is all."""
    encoders = [each for each in module.modules() if isinstance(each, Encoder)]
    before = [each.chunk for each in encoders]
    for each in encoders:
        each.chunk = size
    try:
        yield
    finally:
        for each, chunk in zip(encoders, before, strict=True):
            each.chunk = chunk


def save(path: Path, encoder: Encoder, settings: Mapping[str, Any]) -> None:
    """Write the encoder's weights. The file's header holds all that `load` needs."""
    about = {"encoder": settings, "data": encoder.data.record()}
    weights.write(path, encoder.state_dict(), about)


def load(path: Path) -> Encoder:
    """Load an `encoder.safetensors`: the encoder on the CPU, in evaluation mode.

    Raises `UserError` if the file is missing or damaged, or holds no encoder.
    """
    tensors, about = weights.read(path)
    if "encoder" not in about:
        raise UserError(f"{path} holds no encoder; pass a run's encoder.safetensors")
    with damage(f"{path} holds no whole encoder", "pass a run's encoder.safetensors"):
        encoder: Encoder = build(about["encoder"], "encoder", data=Data.parse(about["data"]))
        encoder.load_state_dict(tensors)
        return encoder.eval()
