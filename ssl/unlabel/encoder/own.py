"""A network of your own, from a Python file. Its code is run."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import invalidate_caches
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
from unlabel.fingerprint import reach
from unlabel.params import own_code
from unlabel.params.start import CODE, digest
from unlabel.progress import note
from unlabel.ranges import Count


class Own(Network):
    """A class of `torch.nn.Module` in a file of `params/encoder`.

    It is built with the number of `channels` if it takes that. It makes maps (B, D, h, w) or
    features (B, D) of images (B, C, H, W). The file can import others of its folder and of the
    working folder. Settings from elsewhere can name no file that is not in `params/encoder`.
    """

    def __init__(
        self,
        data: Data,
        file: str | None = None,
        model: str | None = None,
        sha256: str | None = None,
        resize: Count | None = None,
    ):
        with _counted(_path(file)):
            kind = _class(_path(file), model, sha256)
            takes = "channels" in signature(kind).parameters
            net = kind(**({"channels": len(data.mean)} if takes else {}))
            size = resized((data.shape[1], data.shape[2]), resize)
            dim = _dim(net, len(data.mean), size, kind.__name__)
        super().__init__(data, net, dim, resize)

    @classmethod
    def check(cls, settings: Mapping[str, Any], size: Size, seen: Iterable[Size]) -> None:
        _path(settings["file"])

    def maps(self, x: Tensor) -> Tensor:
        h: Tensor = self.net(self.seen(x))
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


@contextmanager
def _counted(path: Path) -> Iterator[None]:
    """Inside, what a file imports is found in its folder too, and loaded as it is now.

    Raises `UserError` for a module below the working folder that is loaded in a way that
    `own_code` cannot foresee: an edit of it would go unnoticed.
    """
    sources = own_code.sources(path)
    for name in [name for name, place in _places().items() if place in sources]:
        del sys.modules[name]
    before, writes = set(sys.modules), sys.dont_write_bytecode
    sys.path.append(str(path.parent.absolute()))
    sys.dont_write_bytecode = True  # Python takes an edit in the same second for the file before
    invalidate_caches()
    try:
        yield
    finally:
        sys.path.pop()
        sys.dont_write_bytecode = writes
    for name, place in _places().items():
        if name not in before and place not in sources and _is_yours(place):
            raise UserError(
                f"{path} loads {place}, but no import statement says so: an edit of it would go "
                "unnoticed; import it with a statement"
            )


def _places() -> dict[str, Path]:
    """The files of all loaded modules, by name."""
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    return {name: Path(file).absolute() for name, file in files.items() if file}


def _is_yours(path: Path) -> bool:
    """Is a module below the working folder, and no library's and none of unlabel?"""
    libraries = (Path(sys.prefix), reach.PACKAGE)
    return path.is_relative_to(Path.cwd()) and not any(map(path.is_relative_to, libraries))


def _class(path: Path, model: str | None, sha256: str | None) -> type[nn.Module]:
    """Run a file, and take a class out of it. Raises `UserError` for another file or class."""
    found = digest(path)
    if sha256 not in (None, found):
        raise UserError(
            f"{path}, or what it imports, was changed since this encoder was planned or made with "
            "it; start the run again, or restore the files"
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
