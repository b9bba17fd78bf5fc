"""The field's datasets: fetched, found and read in their real formats."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
import yaml

from support import published
from support.project import project, snakemake
from support.published import cifar, write_folder, write_tar
from support.server import served
from support.shelf import everything, nowhere
from support.small_datasets import SMALL, Small, below
from unlabel.data import images
from unlabel.data.decode import decode
from unlabel.data.image_archive import mixed
from unlabel.dataset import hold_out, imagenette
from unlabel.dataset.cifar import CIFAR10
from unlabel.dataset.imagenette import Imagenette
from unlabel.dataset.stl10 import STL10
from unlabel.dataset.svhn import SVHN
from unlabel.errors import UserError
from unlabel.stage import prepare

ROOT = Path(__file__).parents[2]


SPLITS = ("train", "validation", "test")


def prepared(folder: Path, raw: Path, **recipe: object) -> list[bytes]:
    """The three files that the stage writes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump({"name": "mine", "dataset": recipe}))
    paths = [folder / f"{split}.arrow" for split in SPLITS]
    prepare.run(folder / "params.yaml", raw, *paths)
    return [path.read_bytes() for path in paths]


def recipe(name: str) -> dict[str, object]:
    return yaml.safe_load((ROOT / "params" / "dataset" / f"{name}.yaml").read_text())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], Small]:
    """Makes a small dataset, which is then taken for the published one."""
    return lambda name, url="": SMALL[name](monkeypatch.setattr, tmp_path, url)


@pytest.mark.parametrize("name", SMALL)
def test_each_is_fetched_found_and_prepared_to_the_same_bytes(
    name: str, small: Callable, tmp_path: Path
) -> None:
    shelf = tmp_path / "shelf"
    with served(shelf) as url:
        made = small(name, url)
        write_folder(shelf, made.forms[made.fetched])
        raw = tmp_path / "raw" / name
        fetched = prepared(tmp_path / "fetched", raw, **recipe(name))
    assert set(everything(raw)) <= {str(raw / file) for file in made.forms[made.fetched]}
    for form, files in made.forms.items():
        for where in ("root", "raw"):
            root = write_folder(tmp_path / form / where, files)
            settings = recipe(name) | ({"root": str(root)} if where == "root" else {})
            empty = tmp_path / "none" / name
            found = prepared(
                tmp_path / form / f"in {where}", empty if where == "root" else root, **settings
            )
            assert found == fetched, (form, where)
            assert everything(root) == {str(root / k): v for k, v in files.items()}
        assert not empty.exists()
    splits = [images.read(tmp_path / "fetched" / f"{split}.arrow") for split in SPLITS]
    ids = torch.cat([split.id for split, _ in splits])
    assert len(ids.unique()) == len(ids)
    for split, data in splits:
        assert data.source
        assert len(data.sha256) >= 1
        assert split.label.max() < len(data.classes)


@pytest.mark.parametrize("name", SMALL)
def test_no_network_is_one_sentence(name: str, small: Callable, tmp_path: Path) -> None:
    made = small(name, nowhere().removesuffix("some.bin"))
    raw = tmp_path / "raw" / name
    with pytest.raises(UserError) as caught:
        made.kind(root=str(tmp_path / "mine")).load(raw)
    message = str(caught.value)
    for part in ("cannot be had", "Connection refused", str(tmp_path / "mine"), f"into {raw}"):
        assert part in message
    assert "\n" not in message
    assert everything(tmp_path / "raw") == {}


@pytest.mark.parametrize("name", SMALL)
def test_a_damaged_copy_is_one_sentence_and_left_alone(
    name: str, small: Callable, tmp_path: Path
) -> None:
    made = small(name, nowhere().removesuffix("some.bin"))
    for form, files in made.forms.items():
        for damage in ("cut short", "changed"):
            root = write_folder(tmp_path / form / damage, files)
            file = max((each for each in root.rglob("*") if each.is_file()), key=size_of)
            content = file.read_bytes()
            changed = bytearray(content)
            changed[len(content) // 2] ^= 1
            file.write_bytes(content[: len(content) // 2] if damage == "cut short" else changed)
            before = everything(root)
            unchecked = form == "folder" and name in ("imagenette", "tiny_imagenet", "oxford_pet")
            if unchecked and damage == "changed":
                continue  # nobody published the checksums of unpacked images
            with pytest.raises(UserError) as caught:
                made.kind(root=str(root)).load(tmp_path / "raw" / name)
            assert str(root) in str(caught.value), (form, damage)
            assert "\n" not in str(caught.value)
            assert everything(root) == before


def size_of(path: Path) -> int:
    return path.stat().st_size


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "stl10", "imagenette", "tiny_imagenet"])
def test_a_folder_that_lacks_a_file_is_named(name: str, small: Callable, tmp_path: Path) -> None:
    made = small(name, nowhere().removesuffix("some.bin"))
    for form, files in made.forms.items():
        if form.endswith("folder"):
            lacking = max(
                each for each in files if re.search(r"val/|test(_batch|_X)?(\.bin)?$", each)
            )
            kept = {k: v for k, v in files.items() if k != lacking}
            root = write_folder(tmp_path / form, kept)
            with pytest.raises(UserError, match="has no|were published") as caught:
                made.kind(root=str(root)).load(tmp_path / "raw" / name)
            assert str(root) in str(caught.value)


def theirs_of(kind: type, root: Path, **settings: object) -> tuple[torch.Tensor, torch.Tensor]:
    """What torchvision reads: images (N, C, H, W) and labels (N,)."""
    dataset = kind(root, **settings)
    pairs = [dataset[i] for i in range(len(dataset))]
    image = [torch.from_numpy(np.array(each)) for each, _ in pairs]
    channels = [each[None] if each.dim() == 2 else each.permute(2, 0, 1) for each in image]
    return torch.stack(channels), torch.tensor([label for _, label in pairs])


@pytest.mark.parametrize(
    ("name", "kind", "splits"),
    [
        ("cifar10", "CIFAR10", ({"train": True}, {"train": False})),
        ("cifar100", "CIFAR100", ({"train": True}, {"train": False})),
        ("mnist", "MNIST", ({"train": True}, {"train": False})),
        ("kmnist", "KMNIST", ({"train": True}, {"train": False})),
        ("stl10", "STL10", ({"split": "train+unlabeled"}, {"split": "test"})),
        ("svhn", "SVHN", ({"split": "train"}, {"split": "test"})),
    ],
)
def test_images_are_those_torchvision_reads(
    name: str, kind: str, splits: tuple[dict, ...], small: Callable, tmp_path: Path
) -> None:
    made = small(name)
    for files in made.forms.values():
        write_folder(tmp_path / "root", files)
    ours = made.kind(root=str(tmp_path / "root")).load(tmp_path / "raw")
    for split, settings in zip((ours.train, ours.test), splits, strict=True):
        image, label = theirs_of(getattr(torchvision.datasets, kind), tmp_path / "root", **settings)
        assert torch.equal(split.image, image)
        assert torch.equal(split.label, label)
    if name.startswith("cifar"):
        assert list(ours.classes) == getattr(torchvision.datasets, kind)(tmp_path / "root").classes


def test_imagenette_is_what_torchvision_reads(small: Callable, tmp_path: Path) -> None:
    made = small("imagenette")
    files = made.forms["folder"]
    root = write_folder(tmp_path / "root", files)
    ours = made.kind(root=str(root), size=96).load(tmp_path / "raw")
    for split, name, first in ((ours.train, "train", 0), (ours.test, "val", 40)):
        theirs = torchvision.datasets.Imagenette(root, split=name, size="160px")
        assert tuple(each[0] for each in theirs.classes) == ours.classes
        assert sorted(split.id.tolist()) == [*range(first, first + len(theirs))]
        for id, label, image in zip(split.id, split.label, split.image, strict=True):
            path, number = theirs._samples[id - first]
            assert label == number
            pixels = decode(Path(path).read_bytes(), (3, 96, 96))
            assert torch.equal(image, torch.from_numpy(pixels))
    assert ours.train.image.shape == (40, 3, 96, 96)


def test_oxford_pets_images_and_masks_are_those_torchvision_reads(
    small: Callable, tmp_path: Path
) -> None:
    made = small("oxford_pet")
    root = write_folder(tmp_path / "root", made.forms["torchvision's"])
    ours = made.kind(root=str(root), size=48)
    raw, masks = ours.load(tmp_path / "raw"), ours.masks(tmp_path / "raw")
    assert masks.classes == ("pet", "background", "border")
    for split, name, first in ((raw.train, "trainval", 0), (raw.test, "test", 40)):
        kinds = ["category", "binary-category", "segmentation"]
        theirs = torchvision.datasets.OxfordIIITPet(root, name, kinds)
        assert theirs.classes == [each.title() for each in raw.classes]
        assert sorted(split.id.tolist()) == [*range(first, first + len(theirs))]
        for row, place in enumerate((split.id - first).tolist()):
            _, (breed, species, trimap) = theirs[place]
            assert (split.label[row], split.factor[row, 0]) == (breed, species)
            pixels = decode(theirs._images[place].read_bytes(), (3, 48, 48))
            assert torch.equal(split.image[row], torch.from_numpy(pixels))
            side = min(trimap.size)  # the middle is as large in the mask as in the image
            left, top = ((each - side) // 2 for each in trimap.size)
            middle = np.asarray(trimap.crop((left, top, left + side, top + side)))
            mask = masks.of(split.id[row : row + 1])[0] + 1
            for value in (1, 2, 3):
                share = float((mask == value).double().mean())
                assert share == pytest.approx((middle == value).mean(), abs=0.02)


@pytest.mark.parametrize("name", ["imagenette", "tiny_imagenet", "oxford_pet"])
def test_the_first_images_are_not_all_of_one_class(
    name: str, small: Callable, tmp_path: Path
) -> None:
    """Features and probes look at the first ones. The archives are sorted by class."""
    made = small(name)
    root = write_folder(tmp_path / "root", made.forms["folder"])
    kept, held = hold_out(made.kind(root=str(root)).load(tmp_path / "raw").train, 0.5, 0)
    for split in (kept, held):
        assert len(split.label[:10].unique()) > len(split.label.unique()) / 2
        assert split.label.tolist() != sorted(split.label.tolist())


@pytest.mark.parametrize("sizes", [(3680, 3669), (100_000, 10_000)])
def test_the_first_images_are_of_all_classes_in_their_shares(sizes: tuple[int, int]) -> None:
    order = mixed(*sizes)
    for first, places in zip((0, sizes[0]), order.split(sizes), strict=True):
        assert places.sort().values.equal(torch.arange(first, first + len(places)))
        quarters = ((places[:500] - first) * 4 // len(places)).bincount()
        assert quarters.min() > 90


def test_an_oxford_pet_copy_without_a_mask_or_an_image_is_named(
    small: Callable, tmp_path: Path
) -> None:
    made = small("oxford_pet")
    files = made.forms["folder"]
    lacking = [name for name in files if re.search(r"(images|trimaps)/pug_", name)]
    assert len({Path(name).parent for name in lacking}) == 2
    kept = {name: content for name, content in files.items() if name not in lacking}
    root = write_folder(tmp_path / "root", kept)
    ours = made.kind(root=str(root))
    for read, what in ((ours.load, r"images has no pug_\d+\.jpg"), (ours.masks, r"no trimaps/pug")):
        with pytest.raises(UserError, match=what):
            read(tmp_path / "raw")


def test_imagenette_takes_the_archive_that_is_large_enough(small: Callable, tmp_path: Path) -> None:
    made = small("imagenette", nowhere().removesuffix("some.bin"))
    write_folder(tmp_path / "raw", made.forms["archive"])
    assert made.kind(size=160).load(tmp_path / "raw").train.image.shape[2:] == (160, 160)
    assert imagenette.ARCHIVES[320].name == "imagenette2-320.tgz"
    large = imagenette.ARCHIVES | {
        320: imagenette.ARCHIVES[320]._replace(urls=(nowhere(),)),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imagenette, "ARCHIVES", large)
        with pytest.raises(UserError, match=r"imagenette2-320\.tgz is not in"):
            made.kind(size=161).load(tmp_path / "raw")
    for size in (0, 321):
        with pytest.raises(UserError, match=f"dataset.size is {size}, but must be from 1 to 320"):
            Imagenette(size=size)


def test_tiny_imagenets_labels_are_its_annotations(small: Callable, tmp_path: Path) -> None:
    made = small("tiny_imagenet")
    files = made.forms["folder"]
    ours = made.kind(root=str(write_folder(tmp_path / "root", files))).load(tmp_path / "raw")
    assert ours.classes == ("crane (n01)", "bus", "crane (n03)", "ox")
    assert (len(ours.train.id), len(ours.test.id)) == (40, 20)
    wnids = ["n02", "n01", "n03", "n04"]
    sorted_by_class = [0] * 10 + [1] * 10 + [2] * 10 + [3] * 10
    assert ours.train.label[ours.train.id.argsort()].tolist() == sorted_by_class
    for number in range(20):
        encoded = files[f"tiny-imagenet-200/val/images/val_{number}.JPEG"]
        pixels = torch.from_numpy(decode(encoded, (3, 64, 64)))
        row = next(i for i, image in enumerate(ours.test.image) if torch.equal(image, pixels))
        assert sorted(wnids)[ours.test.label[row]] == wnids[number * 3 % 4]


def test_extra_house_numbers_and_unlabelled_images_can_be_had_or_not(
    small: Callable, tmp_path: Path
) -> None:
    numbers, pictures = small("svhn"), small("stl10")
    root = write_folder(tmp_path / "root", numbers.forms["folder"] | pictures.forms["folder"])
    plain, extra = (SVHN(root=str(root), extra=each).load(tmp_path / "raw") for each in (0, 1))
    assert (len(plain.train.id), len(extra.train.id)) == (60, 100)
    assert torch.equal(extra.train.image[:60], plain.train.image)
    assert torch.equal(extra.test.id, plain.test.id)
    image, label = theirs_of(torchvision.datasets.SVHN, root, split="extra")
    assert torch.equal(extra.train.image[60:], image)
    assert torch.equal(extra.train.label[60:], label)
    labelled, every = (
        STL10(root=str(root), unlabelled=each).load(tmp_path / "raw") for each in (False, True)
    )
    assert (len(labelled.train.id), len(every.train.id)) == (40, 100)
    assert every.train.label[40:].tolist() == [-1] * 60
    assert torch.equal(every.train.id[:40], labelled.train.id)
    assert torch.equal(every.test.id, labelled.test.id)


STUDY = {
    "title": "Test",
    "question": "Does it work?",
    "datasets": ["cifar10"],
    "methods": ["random", "simclr"],
    "seeds": [0],
    "metric": "linear",
}


def test_a_study_is_built_on_a_fetched_dataset(tmp_path: Path) -> None:
    """A small CIFAR-10, whose checksum and address stand in the copy of the loader."""
    binary = cifar(10, each=100)[0]
    packed = CIFAR10.packed
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    content = write_tar(shelf / packed.archive.name, below(packed.folder, binary)).read_bytes()
    folder = project(tmp_path / "copy", STUDY)
    loader = folder / "ssl/unlabel/dataset/cifar.py"
    with served(shelf) as url:
        text = loader.read_text().replace("https://www.cs.toronto.edu/~kriz/", url)
        loader.write_text(text.replace(packed.archive.checksum, published.checksum(content)))
        snakemake(folder, "--cores", "2")
    assert (folder / "data/raw/cifar10" / packed.archive.name).read_bytes() == content
    train, data = images.read(folder / "data/prepared/cifar10/train.arrow")
    assert (data.shape, data.classes, len(train.id)) == ((3, 32, 32), CIFAR10.classes, 450)
    results = pd.read_parquet(folder / "reports/results.parquet")
    assert set(results.dataset) == {"cifar10"}
    assert set(results.method) == {"random", "simclr"}
    assert "Nothing to be done" in snakemake(folder, "-n")
