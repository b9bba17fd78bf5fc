"""Archives and folders of encoded images that are known by their names."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unlabel.data.archive import Member, members
from unlabel.data.decode import Shape, Unreadable, decode
from unlabel.data.download import File, check, find, folders, obtain
from unlabel.data.preparation import in_order
from unlabel.errors import UserError, damage
from unlabel.progress import Progress
from unlabel.seeds import derive

LARGEST = 1 << 30  # bytes of all files in an archive; our largest has 480 million


def located(title: str, file: File, folder: str, raw: Path, root: str | None, name: str) -> Path:
    """The path of the archive `file`, with the right checksum, or of the `folder` from inside it.

    Looks in `raw`, in `root` and in the folders of other recipes of the dataset `name`, and else
    downloads the archive into `raw`. Raises `UserError` if it cannot be had or is damaged.
    """
    places = folders(raw, root, name)
    path = find(places, file.name, folder) or obtain(title, file, raw, places)
    return path if path.is_dir() else check(path, file.checksum)


def inside(path: Path, folder: str, *texts: str) -> tuple[list[str], dict[str, str]]:
    """The names of all files below `folder`, in order, and the content of the files `texts`."""
    names, found = [], {}
    for member in members(path, LARGEST):
        name = _name(member, folder)
        names.append(name)
        if name in texts:
            with damage(f"{path} has a file {name} that is not text", "get a whole copy"):
                found[name] = member.read().decode()
    if missing := [text for text in texts if text not in found]:
        raise UserError(f"{path} has no {', '.join(missing)}; get a whole copy")
    return sorted(names), found


def mixed(*sizes: int) -> Tensor:
    """The places of all images, shuffled in each of the splits with these sizes: int64 (N,).

    Archives are sorted by class, but some measures take the first images of a split.
    """
    splits = torch.arange(sum(sizes)).split(sizes)
    shuffled = [sorted(each.tolist(), key=lambda place: derive("order", place)) for each in splits]
    return torch.tensor([*chain(*shuffled)])


def decoded(
    path: Path, folder: str, names: Sequence[str], shape: Shape, order: Tensor
) -> tuple[Tensor, str]:
    """The images with these names, as uint8 (N, C, H, W), and one checksum of them all.

    The first image is that with the name at the first place in `order` (N,). The checksum is the
    sha256 of lines with each file's sha256 and name, in the names' order. Raises `UserError` if a
    file is not an image.
    """
    places = {name: place for place, name in enumerate(names)}
    rows = order.argsort().tolist()
    image = np.empty((len(names), *shape), np.uint8)  # torch would start threads for the copies
    checksums = [""] * len(names)

    def keep(found: tuple[str, int, bytes]) -> None:
        name, place, encoded = found
        try:
            image[rows[place]] = decode(encoded, shape)
        except Unreadable as error:
            raise UserError(
                f"{path} has {name}, which cannot be read: {error}; get another copy"
            ) from error
        checksums[place] = sha256(encoded).hexdigest()

    found = (
        (member.name, place, member.read())
        for member in members(path, LARGEST)
        if (place := places.get(_name(member, folder))) is not None
    )
    progress = Progress("decode", len(names))
    for _ in in_order(keep, found):
        progress.advance(1)
    progress.close()
    lines = [f"{checksum}  {name}\n" for checksum, name in zip(checksums, names, strict=True)]
    return torch.from_numpy(image), sha256("".join(lines).encode()).hexdigest()


def _name(member: Member, folder: str) -> str:
    return member.name.removeprefix("./").removeprefix(f"{folder}/")
