"""Find the images that an encoder finds most alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unlabel import encoder as encoders
from unlabel.command._out import check_out
from unlabel.data import contact_sheet, image_source
from unlabel.data.any_image import PICTURE, decode
from unlabel.data.contact_sheet import SIDE, Cell
from unlabel.data.decode import Preprocessing, Unreadable, content
from unlabel.errors import UserError, printable
from unlabel.features import neighbours
from unlabel.features.neighbours import Neighbour
from unlabel.features.trained_encoder import encoder_file, hardware_of, settings_of
from unlabel.files import sha256
from unlabel.report.terminal import aligned


def run(
    features: Path,
    query: list[Path],
    run: Path,
    number: int = 5,
    picture: Path | None = None,
    device: str | None = None,
) -> None:
    """Print the images whose features are nearest to those of other images.

    The nearest image has the largest cosine similarity of h.

    Args:
        features: what `unlabel embed` wrote with the encoder of the same run
        query: one or more image files
        run: the folder of the trained run
        number: how many neighbours to find for each query
        picture: a PNG file to draw the neighbours into
        device: where to compute, such as cpu or cuda; by default where the run was trained

    Raises:
        UserError: if the features are of another encoder, or a file cannot be read
    """
    if number < 1:
        raise UserError(f"--number is {number}, but must be 1 or more")
    if picture is not None and picture.suffix.lower() != ".png":
        raise UserError(f"--picture is {picture}, but must end in .png")
    if picture is not None:
        check_out(picture)
    about, path = neighbours.read_about(features), encoder_file(run)
    if about["encoder_sha256"] != sha256(path):
        raise UserError(
            f"{features} was not made by the encoder of {run}, but by that of the run "
            f"{about['run']}; pass that run, or embed the images with this one"
        )
    hardware = hardware_of(settings_of(run), device)
    hardware.configure()
    encoder = encoders.load(path)
    hardware.move(encoder)
    how = Preprocessing.of(encoder.data.shape, about)
    x = torch.stack([_pixels(each, how) for each in query])
    with torch.no_grad(), hardware.autocast():
        h = encoder(hardware.pixels(x)).float().cpu()
    found = neighbours.find(features, h, number)
    print(_table(query, found))
    if picture is not None:
        cells = _cells(query, found, about, how.shape[0])
        contact_sheet.draw(picture, cells, encoder.data.preprocessing.get("shown"))


def _table(query: list[Path], found: list[list[Neighbour]]) -> str:
    """A line for each neighbour of each query."""
    rows = [
        (printable(str(asked)), printable(str(each.name)), f"{each.similarity:.3f}")
        for asked, near in zip(query, found, strict=True)
        for each in near
    ]
    head = ("query", "neighbour", "cosine")
    return aligned([list(column) for column in zip(head, *rows, strict=True)], left=2)


def _pixels(path: Path, how: Preprocessing) -> Tensor:
    """The image in a file as uint8 (C, H, W). Raises `UserError` if it cannot be read."""
    try:
        return torch.tensor(decode(content(path), *how))
    except (OSError, Unreadable) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"cannot read the image {path}: {reason}") from error


def _cells(
    query: Sequence[Path],
    found: Sequence[Sequence[Neighbour]],
    about: dict[str, Any],
    channels: int,
) -> list[list[Cell]]:
    """For each query, its image and those of its neighbours with their similarities."""
    names = {each.name for near in found for each in near}
    how = Preprocessing.of((3 if channels in PICTURE else channels, SIDE, SIDE), about)
    source = image_source.open_source(
        Path(about["images"]),
        how,
        names.__contains__,
        about.get("column", "image"),
        about.get("links", False),
    )
    images = {
        name: image
        for part in source.parts
        for name, image in zip(part.names.to_pylist(), part.image, strict=True)
    }
    if missing := names - images.keys():
        raise UserError(f"cannot draw {min(missing)}: {about['images']} no longer has it")
    return [
        [(_pixels(asked, how), "query")]
        + [(images[each.name], f"{each.similarity:.2f}") for each in near]
        for asked, near in zip(query, found, strict=True)
    ]
