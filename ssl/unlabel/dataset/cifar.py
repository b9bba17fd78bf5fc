"""CIFAR-10 and CIFAR-100, from the binary version or a copy of the python version."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple

import numpy as np
import torch

from unlabel.data import cifar_pickle
from unlabel.data.archive import published
from unlabel.data.download import File, find, folders, obtain
from unlabel.data.images import Images
from unlabel.dataset import Dataset, Raw
from unlabel.errors import UserError

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
LARGEST = 1 << 28  # bytes of all files in an archive; they have 190 million


class Packed(NamedTuple):
    """How a dataset is packed by its makers."""

    archive: File  # of the binary version
    folder: str  # in the archive
    train: dict[str, str]  # the sha256 of each file in it
    test: dict[str, str]


# sha256 as in torchvision's port to Ruby and in TensorFlow Datasets; torchvision itself only has
# the python version.
TEN = Packed(
    File(
        "cifar-10-binary.tar.gz",
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    ),
    "cifar-10-batches-bin",
    {
        "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    },
    {"test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"},
)
HUNDRED = Packed(
    File(
        "cifar-100-binary.tar.gz",
        168_513_733,
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
    ),
    "cifar-100-binary",
    {"train.bin": "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"},
    {"test.bin": "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"},
)
HUNDRED_CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree
orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum
rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train
trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""


@dataclass(frozen=True, kw_only=True)
class CIFAR10(Dataset):
    """50,000 photographs to train on and 10,000 to test on, (3, 32, 32), ten classes.

    Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    root: str | None = None  # a folder with an archive or its content, or torchvision's `root`

    title: ClassVar[str] = "CIFAR-10"
    packed: ClassVar[Packed] = TEN
    torchvision: ClassVar[str] = "CIFAR10"  # its class for the python version
    labels: ClassVar[tuple[str, ...]] = ("labels",)  # in the order of the bytes before each image
    classes: ClassVar[tuple[str, ...]] = (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    )

    def image_size(self) -> tuple[int, int]:
        return (32, 32)

    def load(self, raw: Path) -> Raw:
        """Load from a copy in `raw` or `root`, or else download into `raw`.

        Raises `UserError` that names what is damaged, or all that was tried to get it.
        """
        records = self._records(raw)
        packed, first, splits = self.packed, 0, []
        for names in (packed.train, packed.test):
            split = np.concatenate([records[name] for name in names])
            image = torch.from_numpy(split[:, -PIXELS:].reshape(-1, *SHAPE).copy())
            label = torch.from_numpy(split[:, len(self.labels) - 1].astype(np.int64))
            splits.append(Images.of(torch.arange(first, first + len(split)), image, label))
            first += len(split)
        checksums = {name: sha256(records[name].tobytes()).hexdigest() for name in records}
        source = f"{self.title} (Krizhevsky, 2009)"
        train, test = splits
        return Raw(train, test, self.classes, source, checksums)

    def _records(self, raw: Path) -> dict[str, np.ndarray]:
        """The content of each file of the binary version: a row of labels and pixels per image."""
        import torchvision  # costs two seconds

        packed = self.packed
        python = getattr(torchvision.datasets, self.torchvision)
        places = folders(raw, self.root, self.torchvision.lower())
        forms = (packed.archive.name, packed.folder, python.filename, python.base_folder)
        path = find(places, *forms) or obtain(self.title, packed.archive, raw, places)
        wanted = packed.train | packed.test
        if path.name in forms[2:]:
            batches = dict(python.train_list + python.test_list)
            read = _members(path, python.tgz_md5, batches)
            rows = [self._rows(batch, path / name) for name, batch in read.items()]
        else:
            read = _members(path, packed.archive.checksum, wanted)
            width = len(self.labels) + PIXELS
            rows = [np.frombuffer(each, np.uint8).reshape(-1, width) for each in read.values()]
        return dict(zip(wanted, rows, strict=True))

    def _rows(self, batch: bytes, path: Path) -> np.ndarray:
        try:
            plain = cifar_pickle.read(batch)
            data = plain[b"data"]
            pixels = np.frombuffer(data.content, np.uint8).reshape(-1, PIXELS)
            labels = [np.array(plain[name.encode()], np.uint8) for name in self.labels]
            return np.column_stack([*labels, pixels])
        except (cifar_pickle.Refused, KeyError, AttributeError, TypeError, ValueError) as error:
            raise UserError(
                f"{path} is not a batch of {self.title}: {error}; delete it, start again"
            ) from error


@dataclass(frozen=True, kw_only=True)
class CIFAR100(CIFAR10):
    """50,000 photographs to train on and 10,000 to test on, (3, 32, 32), a hundred classes.

    Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    title: ClassVar[str] = "CIFAR-100"
    packed: ClassVar[Packed] = HUNDRED
    torchvision: ClassVar[str] = "CIFAR100"
    labels: ClassVar[tuple[str, ...]] = ("coarse_labels", "fine_labels")
    classes: ClassVar[tuple[str, ...]] = tuple(HUNDRED_CLASSES.split())


def _members(path: Path, checksum: str, wanted: Mapping[str, str]) -> dict[str, bytes]:
    """The content of the wanted files, in their order."""
    found = {}
    for member in published(path, checksum, wanted, LARGEST):
        if (name := PurePosixPath(member.name).name) in wanted:
            found[name] = member.read()
    if missing := [name for name in wanted if name not in found]:
        raise UserError(f"{path} has no {', '.join(missing)}; delete it, start again")
    return {name: found[name] for name in wanted}
