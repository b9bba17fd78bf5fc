"""Draw rows of images with captions as one picture."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from unlabel.data.png import visible
from unlabel.files import whole

SIDE, GAP, LINE = 112, 8, 18  # pixels: of an image, between two, of a caption

Cell = tuple[Tensor, str]  # uint8 (C, H, W) and the caption


def draw(path: Path, rows: Sequence[Sequence[Cell]], shown: Sequence[int] | None = None) -> None:
    """Write a PNG file. The first image of each row stands a little apart.

    `shown` is as in `visible`.
    """
    width = GAP + max(map(len, rows)) * (SIDE + GAP) + GAP
    sheet = Image.new("RGB", (width, GAP + len(rows) * (SIDE + LINE + GAP)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, cells in enumerate(rows):
        for column, (image, caption) in enumerate(cells):
            left = GAP + column * (SIDE + GAP) + GAP * (column > 0)
            top = GAP + row * (SIDE + LINE + GAP)
            sheet.paste(_scaled(visible(image, shown)), (left, top))
            pen.text((left + SIDE / 2, top + SIDE), caption, "black", font, anchor="ma")
    with whole(path) as part:
        sheet.save(part, "PNG")


def _scaled(image: Tensor) -> Image.Image:
    pixels = image.permute(1, 2, 0).squeeze(2).numpy()
    return Image.fromarray(pixels).convert("RGB").resize((SIDE, SIDE))
