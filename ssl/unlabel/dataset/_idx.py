"""Datasets in the IDX format: MNIST and its drop-in replacements."""

import gzip
import sys
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from io import BytesIO
from math import prod
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unlabel.data.download import Unavailable, folders, stream
from unlabel.data.images import Images
from unlabel.dataset import Dataset, Raw
from unlabel.errors import UserError
from unlabel.files import whole

TRAIN, TEST = 60_000, 10_000
LARGEST = 1 << 26  # bytes of an archive; our largest has 26 million

# Names of files with their archives, one by one; closed when no more are wanted.
Archives = Generator[tuple[str, bytes], None, None]
Place = tuple[str, Callable[[list[str]], Archives]]


class File(NamedTuple):
    """The shape of the numbers in a file, and the sha256 that identifies them."""

    shape: tuple[int, ...]
    content: str  # sha256 of the file; empty if only the archive's is known
    archive: str = ""


def files(*contents: str, archives: tuple[str, ...] = ("",) * 4) -> dict[str, File]:
    """The four files with their sha256: images and labels of train, then of test."""
    shapes = {
        "train-images-idx3-ubyte": (TRAIN, 28, 28),
        "train-labels-idx1-ubyte": (TRAIN,),
        "t10k-images-idx3-ubyte": (TEST, 28, 28),
        "t10k-labels-idx1-ubyte": (TEST,),
    }
    sums = zip(contents or ("",) * 4, archives, strict=True)
    return {name: File(shapes[name], *each) for name, each in zip(shapes, sums, strict=True)}


@dataclass(frozen=True, kw_only=True)
class IDX(Dataset):
    """60,000 images to train on and 10,000 to test on, (1, 28, 28), ten classes."""

    root: str | None = None  # a folder with the files, or torchvision's `root`

    title: ClassVar[str]
    name: ClassVar[str]  # of its recipe, or the beginning of it
    torchvision: ClassVar[str]  # the name of its class, and of its folder below `root`
    source: ClassVar[str]
    classes: ClassVar[tuple[str, ...]]
    files: ClassVar[dict[str, File]]

    def image_size(self) -> tuple[int, int]:
        return (28, 28)

    def load(self, raw: Path) -> Raw:
        """Load from `raw`, `root` or where the files are installed, or else download into `raw`.

        Raises `UserError` that names a damaged file, or all that was tried to get them.
        """
        roots = folders(raw, self.root, self.name)
        places = [*roots, *(root / self.torchvision / "raw" for root in roots), *self.installed()]
        arrays = {name: self._read(path, name) for name, path in self._find(places)}
        if missing := [name for name in self.files if name not in arrays]:
            arrays |= self._fetch(missing, raw, places)
        train, test = (
            _images(arrays[f"{split}-images-idx3-ubyte"], arrays[f"{split}-labels-idx1-ubyte"], at)
            for split, at in (("train", 0), ("t10k", TRAIN))
        )
        checksums = {name: file.content or file.archive for name, file in self.files.items()}
        return Raw(train, test, self.classes, self.source, checksums)

    def installed(self) -> list[Path]:
        """Other folders that may have the files."""
        return []

    def places(self) -> Iterator[Place]:
        """Where the files can be downloaded: torchvision's mirrors."""
        import torchvision  # costs two seconds

        for mirror in getattr(torchvision.datasets, self.torchvision).mirrors:
            yield f"torchvision's mirror {mirror}", partial(_mirror, mirror)

    def _find(self, places: Iterable[Path]) -> Iterator[tuple[str, Path]]:
        for name, file in self.files.items():
            forms = (f"{name}.gz", name) if file.content else (f"{name}.gz",)
            paths = (place / form for place in places for form in forms)
            if path := next((path for path in paths if path.exists()), None):
                yield name, path

    def _read(self, path: Path, name: str) -> Tensor:
        try:
            return _parse(path.read_bytes(), self.files[name])
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        except Unavailable as error:
            raise UserError(
                f"{path} is not {self.title}'s: {error}; delete it, start again"
            ) from error

    def _fetch(self, missing: list[str], raw: Path, places: Iterable[Path]) -> dict[str, Tensor]:
        """Download the missing files into `raw`. Raises `UserError` with all that was tried."""
        print(f"fetching {self.title} into {raw}", file=sys.stderr)
        arrays: dict[str, Tensor] = {}
        tried = []
        for place, archives in self.places():
            names = [name for name in missing if name not in arrays]
            try:
                with closing(archives(names)) as each:
                    for name, archive in each:
                        arrays[name] = _parse(archive, self.files[name])
                        with whole(raw / f"{name}.gz") as part:
                            part.write_bytes(archive)
            except Unavailable as error:
                tried.append(f"{place}: {error}")
            if len(arrays) == len(missing):
                return arrays
        raise UserError(
            f"{self.title} cannot be had. Not all of it is in {', '.join(map(str, places))}; "
            f"{'; '.join(tried)}. Put {', '.join(f'{name}.gz' for name in self.files)} into {raw}, "
            "or choose another dataset (dataset=digits needs no network)"
        )


def _images(image: Tensor, label: Tensor, first: int) -> Images:
    return Images.of(torch.arange(first, first + len(label)), image.unsqueeze(1), label.long())


def _parse(file: bytes, known: File) -> Tensor:
    """The numbers in a file or its archive. Raises `Unavailable` if any byte is wrong."""
    wrong = Unavailable("its checksum is wrong")
    if not known.content and sha256(file).hexdigest() != known.archive:
        raise wrong
    header = 4 + 4 * len(known.shape)
    if file.startswith(b"\x1f\x8b"):
        try:
            # Unpack at most one byte too many, whatever the archive holds.
            file = gzip.GzipFile(fileobj=BytesIO(file)).read(header + prod(known.shape) + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Unavailable(f"its checksum is wrong ({error})") from error
    if known.content and sha256(file).hexdigest() != known.content:
        raise wrong
    pixels = np.frombuffer(file, np.uint8, offset=header).reshape(known.shape)
    return torch.from_numpy(pixels.copy())


def _mirror(url: str, names: list[str]) -> Archives:
    for name in names:
        archive = bytearray()
        for _, block in stream(f"{url}{name}.gz"):
            archive += block
            if len(archive) > LARGEST:
                raise Unavailable(f"{name}.gz is larger than {LARGEST:,} bytes")
        yield name, bytes(archive)
