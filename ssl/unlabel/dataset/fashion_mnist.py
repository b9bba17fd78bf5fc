"""Fashion-MNIST, from wherever it can be had."""

import gzip
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from http.client import HTTPException
from io import BytesIO
from math import prod
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from threading import Thread
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import torch
from torch import Tensor

from unlabel.augment import rotate
from unlabel.dataset import Dataset, Raw
from unlabel.errors import UserError
from unlabel.files import whole
from unlabel.images import Images
from unlabel.seeds import derive

CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
# Each file's shape and the sha256 of its content. The archives differ, as whoever packed them
# wrote another header; these are what is in those that torchvision's own checksums stand for.
FILES = {
    "train-images-idx3-ubyte": (
        (60_000, 28, 28),
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train-labels-idx1-ubyte": (
        (60_000,),
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "t10k-images-idx3-ubyte": (
        (10_000, 28, 28),
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "t10k-labels-idx1-ubyte": (
        (10_000,),
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}
ROTATIONS = ("0", "90", "180", "270")  # degrees, counter-clockwise
PACKAGE = "dataset-fashion-mnist"  # Debian's and Ubuntu's
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
LARGEST = 1 << 26  # bytes of an archive; the largest has 26 million
ANSWER, STALL, COMMAND = 5, 10, 600  # seconds to wait for an answer, for more, for a command

# The names of files and their archives, one after the other; closed where no more are wanted.
Archives = Generator[tuple[str, bytes], None, None]


class Unavailable(Exception):
    """Why a place does not give a file."""


@dataclass(frozen=True, kw_only=True)
class FashionMNIST(Dataset):
    """60,000 pictures of clothes to train on and 10,000 to test on, (1, 28, 28), ten classes.

    Xiao, Rasul and Vollgraf, 2017 (arXiv:1708.07747). Where they are `rotated`, each picture is
    turned by as many quarter turns as its id says, which are its factor `rotation`.
    """

    root: str | None = None  # a folder with the files, or torchvision's `root`
    rotated: bool = False

    def load(self, raw: Path) -> Raw:
        """All images: from `raw`, `root` or Debian's package, else fetched into `raw`.

        Raises `UserError` naming a damaged file, or all that was tried where none can be had.
        """
        roots = [raw, *([Path(self.root).expanduser()] if self.root else [])]
        roots += sorted(raw.parent.glob("fashion_mnist*"))  # fetched for another recipe
        folders = [*roots, *(root / "FashionMNIST" / "raw" for root in roots), INSTALLED]
        arrays = {name: _read(path, name) for name, path in _find(folders)}
        if missing := [name for name in FILES if name not in arrays]:
            arrays |= _fetch(missing, raw, folders)
        train, test = (
            _images(arrays[f"{split}-images-idx3-ubyte"], arrays[f"{split}-labels-idx1-ubyte"], at)
            for split, at in (("train", 0), ("t10k", 60_000))
        )
        checksums = {name: checksum for name, (_, checksum) in FILES.items()}
        source = "Fashion-MNIST (arXiv:1708.07747)"
        if self.rotated:
            factors: dict[str, tuple[str, ...]] = {"rotation": ROTATIONS}
            return Raw(
                _turned(train), _turned(test), CLASSES, f"{source}, turned", checksums, factors
            )
        return Raw(train, test, CLASSES, source, checksums)


def _images(image: Tensor, label: Tensor, first: int) -> Images:
    return Images.of(torch.arange(first, first + len(label)), image.unsqueeze(1), label.long())


def _turned(images: Images) -> Images:
    # A hash of the id, so that no split and no library changes how an image is turned.
    turns = torch.tensor([derive("rotation", i) % len(ROTATIONS) for i in images.id.tolist()])
    return images._replace(image=rotate(images.pixels, turns), factor=turns[:, None])


def _find(folders: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    for name in FILES:
        paths = (folder / file for folder in folders for file in (f"{name}.gz", name))
        if path := next((path for path in paths if path.exists()), None):
            yield name, path


def _read(path: Path, name: str) -> Tensor:
    try:
        return _parse(path.read_bytes(), name)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except Unavailable as error:
        raise UserError(
            f"{path} is not Fashion-MNIST's: {error}; delete it, start again"
        ) from error


def _parse(file: bytes, name: str) -> Tensor:
    """The numbers in a file or its archive. Raises `Unavailable` unless each byte is right."""
    shape, checksum = FILES[name]
    header = 4 + 4 * len(shape)
    if file.startswith(b"\x1f\x8b"):
        try:
            # No more than one byte too many is unpacked, whatever is in the archive.
            file = gzip.GzipFile(fileobj=BytesIO(file)).read(header + prod(shape) + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Unavailable(f"its checksum is wrong ({error})") from error
    if sha256(file).hexdigest() != checksum:
        raise Unavailable("its checksum is wrong")
    pixels = np.frombuffer(file, np.uint8, offset=header).reshape(shape)
    return torch.from_numpy(pixels.copy())


def _fetch(missing: list[str], raw: Path, folders: Iterable[Path]) -> dict[str, Tensor]:
    """Fetch the missing files into `raw`. Raises `UserError` with all that was tried."""
    print(f"fetching Fashion-MNIST into {raw}", file=sys.stderr)
    arrays: dict[str, Tensor] = {}
    tried = []
    for place, archives in _places():
        names = [name for name in missing if name not in arrays]
        try:
            with closing(archives(names)) as each:
                for name, archive in each:
                    arrays[name] = _parse(archive, name)
                    with whole(raw / f"{name}.gz") as part:
                        part.write_bytes(archive)
        except Unavailable as error:
            tried.append(f"{place}: {error}")
        if len(arrays) == len(missing):
            return arrays
    raise UserError(
        f"Fashion-MNIST cannot be had. Not all of it is in {', '.join(map(str, folders))}; "
        f"{'; '.join(tried)}. Put {', '.join(f'{name}.gz' for name in FILES)} into {raw}, "
        "or choose another dataset (dataset=digits needs no network)"
    )


def _places() -> Iterator[tuple[str, Callable[[list[str]], Archives]]]:
    from torchvision.datasets import FashionMNIST as Torchvision  # costs two seconds

    for mirror in Torchvision.mirrors:
        yield f"torchvision's mirror {mirror}", partial(_mirror, mirror)
    yield f"the Debian package {PACKAGE}", _debian


def _mirror(url: str, names: list[str]) -> Archives:
    for name in names:
        answer: SimpleQueue = SimpleQueue()
        Thread(target=_ask, args=(f"{url}{name}.gz", answer), daemon=True).start()
        try:
            # Looking up a name has no time limit of its own, and each address a limit anew.
            response = answer.get(timeout=ANSWER)
            if isinstance(response, Exception):
                raise response
            with response:
                yield name, response.read(LARGEST)
        except Empty as error:
            raise Unavailable(f"no answer in {ANSWER} seconds") from error
        except (OSError, ValueError, HTTPException) as error:
            if isinstance(error, HTTPError):
                error.close()
            raise Unavailable(str(error) or repr(error)) from error


def _ask(url: str, answer: SimpleQueue) -> None:
    try:
        answer.put(urlopen(url, timeout=STALL))
    except Exception as error:
        answer.put(error)


def _debian(names: list[str]) -> Archives:
    """Unpack the Debian package in a temporary folder; needs no rights and installs nothing."""
    for program in ("apt-get", "dpkg"):
        if not shutil.which(program):
            raise Unavailable(f"there is no {program} here")
    with TemporaryDirectory(prefix="unlabel-") as folder:
        here = Path(folder)
        try:
            _apt(here, "download", PACKAGE)
        except Unavailable as first:
            try:
                _apt_anew(here, "download", PACKAGE)
            except Unavailable as second:
                raise Unavailable(f"{first}; with new package lists: {second}") from second
        package = next(here.glob(f"{PACKAGE}_*.deb"))
        _call(here, "dpkg", "-x", package.name, "files")
        for name in names:
            path = here / "files" / INSTALLED.relative_to("/") / f"{name}.gz"
            if not path.is_file():
                raise Unavailable(f"it has no {name}.gz")
            yield name, path.read_bytes()


def _apt_anew(folder: Path, *command: str) -> None:
    """Call apt-get with package lists of our own: the system's may be old, or not there."""
    options = []
    for kind, part in (("State", "lists"), ("Cache", "archives")):
        (folder / kind / part / "partial").mkdir(parents=True)
        options += ["-o", f"Dir::{kind}={folder / kind}"]
        options += ["-o", f"Dir::{kind}::{part}={folder / kind / part}"]
    with suppress(Unavailable):  # one bad list of many need not matter
        _apt(folder, "update", *options)
    _apt(folder, *command, *options)


def _apt(folder: Path, *command: str) -> None:
    options = [f"Acquire::{scheme}::Timeout={STALL}" for scheme in ("http", "https")]
    options += ["Acquire::Retries=0", "APT::Sandbox::User=root"]
    _call(folder, "apt-get", *command, *(word for each in options for word in ("-o", each)))


def _call(folder: Path, *command: str) -> None:
    try:
        subprocess.run(
            command,
            cwd=folder,
            timeout=COMMAND,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            errors="replace",
        )
    except subprocess.CalledProcessError as error:
        said = [line[3:] for line in error.stderr.splitlines() if line.startswith("E: ")]
        raise Unavailable(said[0] if said else f"{command[0]} failed") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} took more than {COMMAND} seconds") from error
