"""Archives and folders of encoded images, each of which is known by its name."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unlabel.data.archive import Member, members
from unlabel.data.decode import Shape, Unreadable, decode
from unlabel.data.download import File, check, find, folders, obtain
from unlabel.errors import UserError, damage
from unlabel.progress import Progress

LARGEST = 1 << 30  # bytes of all files in an archive; the largest here has 480 million


def located(title: str, file: File, folder: str, raw: Path, root: str | None, name: str) -> Path:
    """The archive `file`, whose checksum is right, or the `folder` that was in it.

    They are looked for in `raw`, in `root` and in what other recipes of the dataset `name` fetched;
    else the archive is fetched into `raw`. Raises `UserError` if that cannot be, or it is damaged.
    """
    places = folders(raw, root, name)
    path = find(places, file.name, folder) or obtain(title, file, raw, places)
    return path if path.is_dir() else check(path, file.checksum)


def inside(path: Path, folder: str, *texts: str) -> tuple[list[str], dict[str, str]]:
    """The names of all files below `folder` in order, and what is in those that are `texts`."""
    names, found = [], {}
    for member in members(path, LARGEST):
        name = _name(member, folder)
        names.append(name)
        if name in texts:
            with damage(f"{path} has no text in {name}", "get a whole copy"):
                found[name] = member.read().decode()
    if missing := [text for text in texts if text not in found]:
        raise UserError(f"{path} has no {', '.join(missing)}; get a whole copy")
    return sorted(names), found


def decoded(path: Path, folder: str, names: Sequence[str], shape: Shape) -> tuple[Tensor, str]:
    """The images of these names in their order, uint8 (N, C, H, W), and a checksum of all of them.

    The checksum is the sha256 of lines of each file's sha256 and name. Raises `UserError` for a
    file that is no image.
    """
    rows = {name: row for row, name in enumerate(names)}
    image = np.empty((len(names), *shape), np.uint8)  # torch would start threads to copy one
    checksums = [""] * len(names)
    progress = Progress("decode", len(names))
    for member in members(path, LARGEST):
        if (row := rows.get(_name(member, folder))) is not None:
            encoded = member.read()
            try:
                image[row] = decode(encoded, shape)
            except Unreadable as error:
                raise UserError(
                    f"{path} has {member.name}, which cannot be read: {error}; get another copy"
                ) from error
            checksums[row] = sha256(encoded).hexdigest()
            progress.advance(1)
    progress.close()
    lines = [f"{checksum}  {name}\n" for checksum, name in zip(checksums, names, strict=True)]
    return torch.from_numpy(image), sha256("".join(lines).encode()).hexdigest()


def _name(member: Member, folder: str) -> str:
    return member.name.removeprefix("./").removeprefix(f"{folder}/")
