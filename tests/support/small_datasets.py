"""The field's datasets in their real formats, but small."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torchvision

from support import published
from support.published import cifar, write_tar, write_zip
from unlabel.data.download import File
from unlabel.dataset import Dataset, imagenette, oxford_pet, stl10, svhn, tiny_imagenet
from unlabel.dataset._idx import IDX
from unlabel.dataset.cifar import CIFAR10, CIFAR100
from unlabel.dataset.imagenette import Imagenette
from unlabel.dataset.mnist import KMNIST, MNIST
from unlabel.dataset.oxford_pet import OxfordPet
from unlabel.dataset.stl10 import STL10
from unlabel.dataset.svhn import SVHN
from unlabel.dataset.tiny_imagenet import TinyImageNet


class Small(NamedTuple):
    """A dataset in its real format, but small."""

    kind: type[Dataset]
    forms: dict[str, dict[str, bytes]]  # what may be below `root`: each is enough alone
    fetched: str  # the form that is fetched


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def known(file: File, content: bytes, url: str) -> File:
    """`file`, were this what its makers had published, and this the address."""
    kind = "md5" if len(file.checksum) == 32 else "sha256"
    return File(file.name, len(content), published.checksum(content, kind), (f"{url}{file.name}",))


def small_cifar(kind: type[CIFAR10], patch: Callable, tmp: Path, url: str) -> Small:
    binary, python = cifar(len(kind.classes))
    packed, theirs = kind.packed, getattr(torchvision.datasets, kind.torchvision)
    inside = below(packed.folder, binary | {"readme.html": b"<html>"})
    archive_ = write_tar(tmp / "binary.tar.gz", inside).read_bytes()
    sums = {name: published.checksum(content) for name, content in binary.items()}
    train = {name: value for name, value in sums.items() if not name.startswith("test")}
    test = {name: value for name, value in sums.items() if name.startswith("test")}
    file = known(packed.archive, archive_, url)
    patch(kind, "packed", packed._replace(archive=file, train=train, test=test))
    meta = theirs.meta["filename"]
    python[meta] = published.pickled({theirs.meta["key"]: list(kind.classes)})
    python_archive = write_tar(tmp / "python.tar.gz", below(theirs.base_folder, python))
    md5 = {name: published.checksum(content, "md5") for name, content in python.items()}
    for names in ("train_list", "test_list"):
        patch(theirs, names, [[name, md5[name]] for name, _ in getattr(theirs, names)])
    patch(theirs, "meta", theirs.meta | {"md5": md5[meta]})
    patch(theirs, "tgz_md5", published.checksum(python_archive.read_bytes(), "md5"))
    forms = {
        "archive": {packed.archive.name: archive_},
        "folder": below(packed.folder, binary),
        "python archive": {theirs.filename: python_archive.read_bytes()},
        "python folder": below(theirs.base_folder, python),
    }
    return Small(kind, forms, "archive")


def small_stl10(patch: Callable, tmp: Path, url: str) -> Small:
    sizes = {"train": 40, "unlabeled": 60, "test": 20}
    files = published.stl10(*sizes.values())
    archive_ = write_tar(tmp / "it.tar.gz", below(stl10.FOLDER, files)).read_bytes()
    patch(stl10, "SIZES", sizes)
    patch(stl10, "ARCHIVE", known(stl10.ARCHIVE, archive_, url))
    md5 = {name: published.checksum(files[name], "md5") for name in stl10.FILES}
    patch(stl10, "FILES", md5)
    theirs = torchvision.datasets.STL10
    for names in ("train_list", "test_list"):
        patch(theirs, names, [[name, md5[name]] for name, _ in getattr(theirs, names)])
    forms = {"archive": {stl10.ARCHIVE.name: archive_}, "folder": below(stl10.FOLDER, files)}
    return Small(STL10, forms, "archive")


def small_svhn(patch: Callable, tmp: Path, url: str) -> Small:
    files, lists = {}, {}
    for split, size in (("train", 60), ("extra", 40), ("test", 20)):
        name = svhn.FILES[split].name
        files[name] = published.svhn(size, size)
        patch(svhn, "FILES", svhn.FILES | {split: known(svhn.FILES[split], files[name], url)})
        lists[split] = ["", name, published.checksum(files[name], "md5")]
    patch(torchvision.datasets.SVHN, "split_list", lists)
    return Small(SVHN, {"folder": files}, "folder")


def small_idx(kind: type[IDX], patch: Callable, tmp: Path, url: str) -> Small:
    files = published.idx(60, 20)
    archives = published.gzipped(files)
    numbers = {}
    for name, was in kind.files.items():
        shape = (60 if name.startswith("train") else 20, *was.shape[1:])
        content = published.checksum(files[name]) if was.content else ""
        packed = published.checksum(archives[f"{name}.gz"]) if was.archive else ""
        numbers[name] = was._replace(shape=shape, content=content, archive=packed)
    patch(kind, "files", numbers)
    patch(getattr(torchvision.datasets, kind.torchvision), "mirrors", [url])
    forms = {
        "archives": archives,
        "torchvision's": below(f"{kind.torchvision}/raw", files | archives),
    }
    if kind is MNIST:
        forms["unpacked"] = files
    return Small(kind, forms, "archives")


def small_imagenette(patch: Callable, tmp: Path, url: str) -> Small:
    sizes, files = {"train": 40, "val": 20}, {"noisy_imagenette.csv": b"path\n"}
    for split, size in sizes.items():
        for number in range(size):
            name = [*imagenette.CLASSES][number % 10]
            shape = (160 + number, 160) if number % 2 else (160, 160 + number)
            mode = "L" if number == 3 else "RGB"
            files[f"{split}/{name}/{split}_{number}.JPEG"] = published.jpeg(number, *shape, mode)
    shuffled = random.Random(0).sample(sorted(files), len(files))
    inside = below("imagenette2-160", {name: files[name] for name in shuffled})
    archive_ = write_tar(tmp / "it.tgz", inside).read_bytes()
    patch(imagenette, "SIZES", sizes)
    file = known(imagenette.ARCHIVES[160], archive_, url)
    patch(imagenette, "ARCHIVES", imagenette.ARCHIVES | {160: file})
    return Small(Imagenette, {"archive": {file.name: archive_}, "folder": inside}, "archive")


def small_tiny_imagenet(patch: Callable, tmp: Path, url: str) -> Small:
    wnids = ["n02", "n01", "n03", "n04"]
    files = {
        "wnids.txt": "\n".join(wnids).encode(),
        "words.txt": b"n01\tcrane\nn02\tbus, coach\nn03\tcrane, machine\nn04\tox\nn05\tcat\n",
        "val/val_annotations.txt": b"",
        "test/images/test_0.JPEG": published.jpeg(99, 64, 64),
    }
    for number in range(40):
        name = wnids[number % 4]
        files[f"train/{name}/images/{name}_{number}.JPEG"] = published.jpeg(number, 64, 64)
        files[f"train/{name}/{name}_boxes.txt"] = b"0"
    for number in range(20):
        mode = "L" if number == 3 else "RGB"
        files[f"val/images/val_{number}.JPEG"] = published.jpeg(50 + number, 64, 64, mode)
        line = f"val_{number}.JPEG\t{wnids[number * 3 % 4]}\t0\t0\t62\t62\n"
        files["val/val_annotations.txt"] += line.encode()
    inside = below(tiny_imagenet.FOLDER, files)
    archive_ = write_zip(tmp / "it.zip", inside).read_bytes()
    patch(tiny_imagenet, "TRAIN", 40)
    patch(tiny_imagenet, "TEST", 20)
    patch(tiny_imagenet, "ARCHIVE", known(tiny_imagenet.ARCHIVE, archive_, url))
    forms = {"archive": {tiny_imagenet.ARCHIVE.name: archive_}, "folder": inside}
    return Small(TinyImageNet, forms, "archive")


def small_oxford_pet(patch: Callable, tmp: Path, url: str) -> Small:
    """With the files that the makers' archives have beside those that are needed."""
    sizes = {"trainval.txt": 40, "test.txt": 20}
    breeds = [("Abyssinian", 1), ("american_bulldog", 2), ("Birman", 1), ("pug", 2)]
    pictures, about = {"Abyssinian_9.mat": b"MATLAB"}, {"README": b"about", "list.txt": b"# all"}
    for seed, (split, size) in enumerate(sizes.items()):
        lines = []
        for number in range(size):
            breed = number * 4 // size  # sorted, as the makers' lists are
            name, species = f"{breeds[breed][0]}_{100 * seed + number}", breeds[breed][1]
            shape = (70 + number, 64) if number % 2 else (64, 90)
            pictures[f"{name}.jpg"] = published.jpeg(100 * seed + number, *shape)
            about[f"trimaps/{name}.png"] = published.trimap(100 * seed + number, *shape)
            about[f"trimaps/._{name}.png"] = b"left by a Mac"
            lines.append(f"{name} {breed + 1} {species} 1\n")
        about[split] = "".join(lines).encode()
    parts = {"IMAGES": below("images", pictures), "ANNOTATIONS": below("annotations", about)}
    archives, unpacked = dict[str, bytes](), dict[str, bytes]()
    patch(oxford_pet, "SIZES", sizes)
    for constant, inside in parts.items():
        file = getattr(oxford_pet, constant)
        archives[file.name] = write_tar(tmp / file.name, inside).read_bytes()
        patch(oxford_pet, constant, known(file, archives[file.name], url))
        unpacked |= inside
    forms = {
        "archives": archives,
        "folder": unpacked,
        "torchvision's": below(oxford_pet.FOLDER, unpacked | archives),
    }
    return Small(OxfordPet, forms, "archives")


SMALL: dict[str, Callable[[Callable, Path, str], Small]] = {
    "cifar10": partial(small_cifar, CIFAR10),
    "cifar100": partial(small_cifar, CIFAR100),
    "stl10": small_stl10,
    "svhn": small_svhn,
    "mnist": partial(small_idx, MNIST),
    "kmnist": partial(small_idx, KMNIST),
    "imagenette": small_imagenette,
    "tiny_imagenet": small_tiny_imagenet,
    "oxford_pet": small_oxford_pet,
}
