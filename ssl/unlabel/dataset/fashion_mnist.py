"""Fashion-MNIST, from torchvision's mirrors or Debian's package."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from unlabel.data.download import STALL, Unavailable
from unlabel.dataset._idx import IDX, Archives, Place, files

CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
# Of the unpacked files, as archives of the same files differ in their headers. They belong to the
# archives that torchvision has checksums of.
FILES = files(
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
)
PACKAGE = "dataset-fashion-mnist"  # Debian's and Ubuntu's
INSTALLED = Path("/usr/share/datasets/fashion-mnist")
COMMAND = 600  # seconds to wait for a command


@dataclass(frozen=True, kw_only=True)
class FashionMNIST(IDX):
    """60,000 pictures of clothes to train on and 10,000 to test on, (1, 28, 28), ten classes.

    Xiao, Rasul and Vollgraf, 2017 (arXiv:1708.07747).
    """

    title: ClassVar[str] = "Fashion-MNIST"
    name: ClassVar[str] = "fashion_mnist"
    torchvision: ClassVar[str] = "FashionMNIST"
    source: ClassVar[str] = "Fashion-MNIST (arXiv:1708.07747)"
    classes: ClassVar[tuple[str, ...]] = CLASSES
    files: ClassVar = FILES

    def installed(self) -> list[Path]:
        """Where Debian's package puts the files."""
        return [INSTALLED]

    def places(self) -> Iterator[Place]:
        """Where the files can be downloaded: torchvision's mirrors, then Debian's package."""
        yield from super().places()
        yield f"the Debian package {PACKAGE}", _debian


def _debian(names: list[str]) -> Archives:
    """Unpack the Debian package in a temporary folder. It needs no root and installs nothing."""
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
    """Call apt-get with new package lists: the system's may be old or missing."""
    options = []
    for kind, part in (("State", "lists"), ("Cache", "archives")):
        (folder / kind / part / "partial").mkdir(parents=True)
        options += ["-o", f"Dir::{kind}={folder / kind}"]
        options += ["-o", f"Dir::{kind}::{part}={folder / kind / part}"]
    with suppress(Unavailable):  # one bad list of many may not matter
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
