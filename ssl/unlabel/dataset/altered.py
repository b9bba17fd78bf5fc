"""Another dataset, with each image rotated and tinted by a known amount."""

from dataclasses import dataclass
from pathlib import Path

import torch

from unlabel.augment import Augment, Jitter, check_square, rotate
from unlabel.data.expected import Expected
from unlabel.data.images import Images
from unlabel.dataset import Dataset, Raw
from unlabel.errors import UserError
from unlabel.ranges import Count
from unlabel.seeds import derive

ROTATIONS = ("0", "90", "180", "270")  # degrees, counter-clockwise
PART = 1000  # images at once


@dataclass(frozen=True, kw_only=True)
class Altered(Dataset):
    """The images of another dataset, altered; the factors say how.

    Each image is rotated by quarter turns (the factor `rotation`). With several `hues`, its colours
    are also shifted by steps around the colour circle (the factor `hue`). A hash of the id chooses
    both, so they depend on no split and no library. Raises `UserError` for grey images that are to
    be tinted.
    """

    of: Dataset
    hues: Count = 1  # steps around the colour circle; 1 leaves the colours as they are

    def labelled(self) -> bool:
        return self.of.labelled()

    def image_size(self) -> tuple[int, int] | None:
        return self.of.image_size()

    def expected(self) -> Expected:
        found = self.of.expected()
        if found.size:
            check_square(found.size)
        return found._replace(masks=False)

    def load(self, raw: Path) -> Raw:
        """All images of the dataset, altered. Raises `UserError` as its own `load` does."""
        found = self.of.load(raw)
        if found.factors:
            raise UserError("dataset.of has factors of its own; alter a dataset that has none")
        if self.hues > 1 and found.train.image.shape[1] != 3:
            raise UserError("dataset.hues is above 1, but the images are grey; set it to 1")
        factors: dict[str, tuple[str, ...]] = {"rotation": ROTATIONS}
        if self.hues > 1:
            factors["hue"] = tuple(str(round(360 * hue / self.hues)) for hue in range(self.hues))
        return found._replace(
            train=self._altered(found.train),
            test=self._altered(found.test),
            validation=found.validation and self._altered(found.validation),
            source=f"{found.source}, turned{' and tinted' * (self.hues > 1)}",
            factors=factors,
        )

    def _altered(self, images: Images) -> Images:
        ids = images.id.tolist()
        turns = torch.tensor([derive("rotation", i) % len(ROTATIONS) for i in ids])
        image = rotate(images.pixels, turns)
        if self.hues == 1:
            return images._replace(image=image, factor=turns[:, None])
        hues = torch.tensor([derive("hue", i) % self.hues for i in ids])
        parts = zip(image.split(PART), (hues / self.hues).split(PART), strict=True)
        tinted = torch.cat([tint(part, hue) for part, hue in parts])
        return images._replace(image=tinted, factor=torch.stack([turns, hues], 1))


def tint(image: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Rotate the colours of each image, uint8 (B, 3, H, W), around the grey axis; turns (B,)."""
    colours = torch.tensor([1.0, 1.0, 1.0, 0.0]).repeat(len(turn), 1)
    colours[:, 3] = turn
    turned = Augment(hue=Jitter()).apply(image / 255, {"hue": colours})
    return (turned * 255).round().to(torch.uint8)
