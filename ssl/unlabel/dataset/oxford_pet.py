"""Oxford-IIIT Pet: cats and dogs of 37 breeds, each with a mask."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from unlabel.data import masks
from unlabel.data.download import File
from unlabel.data.image_archive import decoded, inside, located, mixed
from unlabel.data.images import Images
from unlabel.data.masks import Masks
from unlabel.dataset import Dataset, Raw
from unlabel.errors import UserError, damage
from unlabel.ranges import Count

SITE = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
FOLDER = "oxford-iiit-pet"  # torchvision's, below its `root`
IMAGES = File(  # md5 as in torchvision
    "images.tar.gz",
    900_000_000,
    "5c4f3ee8e5d25df40f4fd59a7f44e54c",
    (f"{SITE}images.tar.gz",),
)
ANNOTATIONS = File(
    "annotations.tar.gz",
    30_000_000,
    "95a8c909bbe2e81eed6a22bccdf3f68f",
    (f"{SITE}annotations.tar.gz",),
)
SIZES = {"trainval.txt": 3680, "test.txt": 3669}  # images
SPECIES = ("cat", "dog")
PIXELS = ("pet", "background", "border")  # 1, 2 and 3 in a trimap


class Listed(NamedTuple):
    """An image of a list."""

    name: str
    breed: int
    species: int


@dataclass(frozen=True, kw_only=True)
class OxfordPet(Dataset):
    """3,680 photographs to train on and 3,669 to test on, (3, size, size), 37 breeds.

    The middle of each image, resized. The factor is the species; the masks tell pet, background and
    the border between them. Parkhi et al., Cats and Dogs, 2012.
    """

    root: str | None = None  # a folder with both archives or their content, or torchvision's `root`
    size: Count = 64  # pixels

    def image_size(self) -> tuple[int, int]:
        return (self.size, self.size)

    def load(self, raw: Path) -> Raw:
        """Load from a copy in `raw` or `root`, or else download into `raw`.

        Raises `UserError` that names what is damaged, or all that was tried to get it.
        """
        listed, _ = self._listed(raw)
        path = self._place(raw, IMAGES)
        names = [f"{each.name}.jpg" for each in listed]
        present = {*inside(path, "images")[0]}
        if missing := [name for name in names if name not in present]:
            raise UserError(f"{path} has no {missing[0]}; get a whole copy")
        order = mixed(*SIZES.values())
        image, checksum = decoded(path, "images", names, (3, self.size, self.size), order)
        label = torch.tensor([each.breed for each in listed])
        factor = torch.tensor([[each.species] for each in listed])
        every = Images(order, image, label[order], factor[order])
        cut = SIZES["trainval.txt"]
        breeds = {each.breed: each.name.rpartition("_")[0] for each in listed}
        return Raw(
            every.take(slice(cut)),
            every.take(slice(cut, None)),
            tuple(breeds[breed].replace("_", " ") for breed in sorted(breeds)),
            "Oxford-IIIT Pet (Parkhi et al., 2012)",
            {"images": checksum},
            {"species": SPECIES},
        )

    def masks(self, raw: Path) -> Masks:
        listed, path = self._listed(raw)
        names = [f"trimaps/{each.name}.png" for each in listed]
        trimap = masks.decoded(path, "annotations", names, (self.size, self.size))
        if not 1 <= trimap.min() <= trimap.max() <= len(PIXELS):
            raise UserError(f"{path} has trimaps with values that are not 1 to 3; get a whole copy")
        return Masks(torch.arange(len(listed)), trimap - 1, PIXELS)

    def _listed(self, raw: Path) -> tuple[list[Listed], Path]:
        """All images, those to train on first, and where the annotations are."""
        path = self._place(raw, ANNOTATIONS)
        _, texts = inside(path, "annotations", *SIZES)
        listed = []
        for name, size in SIZES.items():
            with damage(f"{path} has a {name} that lists no images", "get a whole copy"):
                words = [line.split() for line in texts[name].splitlines()]
                found = [Listed(each[0], int(each[1]) - 1, int(each[2]) - 1) for each in words]
            if len(found) != size:
                raise UserError(
                    f"{path} lists {len(found):,} images in {name}, but {size:,} were published; "
                    "get a whole copy"
                )
            listed += found
        return listed, path

    def _place(self, raw: Path, file: File) -> Path:
        folder, root = file.name.removesuffix(".tar.gz"), self.root
        for place in (raw, Path(root).expanduser()) if root else (raw,):
            if (place / FOLDER).is_dir():
                root = str(place / FOLDER)
        return located("Oxford-IIIT Pet", file, folder, raw, root, "oxford_pet")
