"""A network of your own, from a Python file. Its code is run."""

import sys
from collections.abc import Iterable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unlabel.augment import Size
from unlabel.data.images import Data
from unlabel.encoder._network import Network, resized
from unlabel.errors import UserError, did_you_mean, reason
from unlabel.params.start import CODE, digest
from unlabel.progress import note
from unlabel.ranges import Count


class Own(Network):
    """A class of `torch.nn.Module` in a file of `params/encoder`.

    It is built with the number of `channels` if it takes that. It makes maps (B, D, h, w) or
    features (B, D) of images (B, C, H, W). Settings from elsewhere can name no other file than
    those that you have put into this folder.
    """

    def __init__(
        self,
        data: Data,
        file: str | None = None,
        model: str | None = None,
        sha256: str | None = None,
        resize: Count | None = None,
    ):
        kind = _class(file, model, sha256)
        takes = "channels" in signature(kind).parameters
        net = kind(**({"channels": len(data.mean)} if takes else {}))
        size = resized((data.shape[1], data.shape[2]), resize)
        super().__init__(data, net, _dim(net, len(data.mean), size, kind.__name__), resize)

    @classmethod
    def check(cls, settings: Mapping[str, Any], size: Size, seen: Iterable[Size]) -> None:
        _path(settings["file"])

    def maps(self, x: Tensor) -> Tensor:
        h: Tensor = self.net(self.normalise(x))
        return h if h.ndim == 4 else h[:, :, None, None]


def _path(file: str | None) -> Path:
    """Where the code is. Raises `UserError` unless that is a file of `params/encoder`."""
    if file is None:
        raise UserError(f"encoder.file is null; name a Python file in {CODE}, as encoder.file=a.py")
    path = CODE / file
    if Path(file).name != file or not path.is_file():
        raise UserError(
            f"encoder.file is {file!r}, but must be the name of a Python file in {CODE}: only code "
            "that you have put there is run"
        )
    return path


def _class(file: str | None, model: str | None, sha256: str | None) -> type[nn.Module]:
    """Run a file, and take a class out of it. Raises `UserError` for another file or class."""
    path = _path(file)
    found = digest(path)
    if sha256 not in (None, found):
        raise UserError(
            f"{path} was changed since this encoder was planned or made with it; start the run "
            "again, or restore the file"
        )
    note(f"encoder=own runs the code in {path} (sha256 {found[:16]})")
    spec = spec_from_file_location(f"own_{found[:16]}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"{path} cannot be run: {type(error).__name__}: {reason(error)}") from error
    classes = {
        name: each
        for name, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, nn.Module) and each.__module__ == spec.name
    }
    if model not in classes:
        raise UserError(
            f"encoder.model is {model!r}, but must be a class of torch.nn.Module in {path}; "
            f"{did_you_mean(str(model), classes)}"
        )
    return classes[model]


def _dim(net: nn.Module, channels: int, size: Size, name: str) -> int:
    """The length of the features. Raises `UserError` if the network cannot see the images."""
    net.eval()
    try:
        with torch.no_grad():
            h = net(torch.zeros(1, channels, *size))
            (_, dim, *_), known = h.shape, h.ndim in (2, 4)
    except Exception as error:
        raise UserError(
            f"{name} cannot see images of {channels} x {size[0]} x {size[1]}: {reason(error)}"
        ) from error
    if not known:
        raise UserError(
            f"{name} makes {tuple(h.shape)} of an image, but must make maps (1, D, h, w) or "
            "features (1, D)"
        )
    net.train()
    return int(dim)
