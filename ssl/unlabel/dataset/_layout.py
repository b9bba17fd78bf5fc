"""What the folders of your own images stand for: splits, classes, or neither."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal, NamedTuple

from unlabel.data.names import as_text, few
from unlabel.errors import UserError

SPLITS = ("train", "validation", "test")
UNLABELLED = "unlabelled"
# The usual names of splits, and of images without labels.
WORDS = {
    **dict.fromkeys(("train", "training", "trainval", "train_val"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("unlabelled", "unlabeled", "unsupervised", "unsup"), UNLABELLED),
    **dict.fromkeys(("nolabel", "nolabels", "no_label", "no_labels"), UNLABELLED),
}
# training_set, test-images, valdata, train2017
ENDING = re.compile(r"_?(set|split|data|images|imgs|(19|20)\d\d)$")
DATE = re.compile(r"(19|20)\d\d([-_.]?(0[1-9]|1[0-2])([-_.]?[0-3]\d)?)?")
BESIDE = "beside the folders of splits"  # why an image is left out

Auto = Literal["auto"]


class Placed(NamedTuple):
    """An image, and what its folders say of it."""

    path: PurePath
    split: str  # one of SPLITS, or "" where no folder says
    label: str | None


@dataclass
class Layout:
    """What the folders mean."""

    images: list[Placed]
    left_out: list[str] = field(default_factory=list)  # names of images beside folders of splits
    inside: str = ""  # the lone folder that holds all others


def meaning(name: str) -> str | None:
    """The split that a name usually stands for, `UNLABELLED`, or None."""
    word = re.sub(r"[-. ]", "_", name.lower()).strip("_")
    return WORDS.get(word) or WORDS.get(ENDING.sub("", word))


def read_layout(
    root: str, paths: Sequence[PurePath], splits: Literal["auto", False], labels: Auto | bool
) -> Layout:
    """Place each image, given by its path below `root`.

    `splits` and `labels` say whether folders may stand for splits, and whether they are classes.
    Raises `UserError` with both readings if the folders can be read in two ways.
    """
    inside, below = _unwrapped(paths, splits)
    split = _splits(root, below, inside) if splits is not False else {}
    if split:
        layout = _by_split(below, split)
    else:
        words = splits is not False
        layout = Layout([Placed(path, "", _label(path.parts, words)) for path in below])
        if splits == "auto":
            _check_below(root, below)
    if labels is False:
        layout.images = [each._replace(label=None) for each in layout.images]
    elif labels == "auto":
        _check_dates(root, {each.label for each in layout.images} - {None})
    layout.inside = "/".join(map(as_text, inside))
    layout.images = [each._replace(path=PurePath(*inside, each.path)) for each in layout.images]
    return layout


def _unwrapped(
    paths: Sequence[PurePath], splits: Literal["auto", False]
) -> tuple[tuple[str, ...], list[PurePath]]:
    """The lone folders that hold all others, one in the other, and the paths inside of them."""
    inside: tuple[str, ...] = ()
    below = list(paths)
    while below and min(len(path.parts) for path in below) > 2:
        first = {path.parts[0] for path in below}
        if len(first) > 1 or (splits is not False and meaning(min(first))):
            break
        inside += (min(first),)
        below = [PurePath(*path.parts[1:]) for path in below]
    return inside, below


def _splits(root: str, paths: Iterable[PurePath], inside: Sequence[str]) -> dict[str, str]:
    """What each top folder stands for, or nothing if none is a split.

    Raises `UserError` if some are and others are not, or there is nothing to train on.
    """
    deep = [path.parts for path in paths if len(path.parts) > 1]
    folders = sorted({parts[0] for parts in deep})
    found = {name: word for name in folders if (word := meaning(name))}
    named = [name for name, word in found.items() if word != UNLABELLED]
    if not named:
        return {}
    others = [name for name in folders if name not in found]
    flat = all(len(parts) == 2 for parts in deep)
    if others and flat and {found[name] for name in named} == {"train"}:
        return {}  # a bus, a train, and a tram
    here = "/".join((root, *inside))
    if others:
        raise UserError(
            f"{here} can be read in two ways: either its folders are splits ({few(named)}), and "
            f"{few(others)} is out of place; or all of them are classes. Move {few(others)} "
            "elsewhere, or set splits=false if all are classes"
        )
    if "train" not in found.values() and UNLABELLED not in found.values():
        raise UserError(
            f"{here} can be read in two ways: either its folders are splits ({few(named)}), and "
            "the one to train on is missing; or their names mean nothing. Add a folder train, or "
            "set splits=false" + (f", or path={here}/{named[0]}" if len(named) == 1 else "")
        )
    return found


def _by_split(paths: Iterable[PurePath], split: dict[str, str]) -> Layout:
    layout, below = Layout([]), dict[str, list[PurePath]]()
    for path in paths:
        if len(path.parts) == 1:
            layout.left_out.append(as_text(path))
        else:
            below.setdefault(path.parts[0], []).append(path)
    lone = {name: _lone(each) for name, each in below.items()}
    # train/images/cat and test/images/cat, or training_set/training_set/cat
    through = all(lone.values()) and len(set(lone.values())) == 1
    for name, each in below.items():
        depth = 2 if lone[name] and (through or meaning(lone[name]) == split[name]) else 1
        for path in each:
            label = _label(path.parts[depth:]) if split[name] != UNLABELLED else None
            where = "train" if split[name] == UNLABELLED else split[name]
            layout.images.append(Placed(path, where, label))
    layout.images.sort(key=lambda placed: placed.path)
    return layout


def _lone(paths: Sequence[PurePath]) -> str:
    """The one folder in the folder of a split that holds only folders, or nothing."""
    second = {path.parts[1] for path in paths}
    return min(second) if len(second) == 1 and min(len(path.parts) for path in paths) > 3 else ""


def _label(parts: Sequence[str], words: bool = True) -> str | None:
    """The class that the first folder stands for; none without a folder.

    With `words`, a folder called unlabelled is not a class.
    """
    none = len(parts) < 2 or (words and meaning(parts[0]) == UNLABELLED)
    return None if none else as_text(parts[0])


def _check_below(root: str, paths: Iterable[PurePath]) -> None:
    """Raise `UserError` if folders of splits lie inside of the classes."""
    found = {
        word: as_text(PurePath(*path.parts[: at + 1]))
        for path in paths
        for at, part in enumerate(path.parts[1:-1], 1)
        if (word := meaning(part)) in SPLITS
    }
    if len(found) > 1:
        first, second, *_ = sorted(found.values())
        raise UserError(
            f"{root} can be read in two ways: either {first} and {second} are splits inside of "
            "classes, or their names mean nothing. Put the splits above the classes (train/CLASS, "
            "test/CLASS), or set splits=false"
        )


def _check_dates(root: str, classes: set[str | None]) -> None:
    """Raise `UserError` if all classes are dates."""
    names = sorted(name for name in classes if name)
    if len(names) > 1 and all(DATE.fullmatch(name) for name in names):
        raise UserError(
            f"{root} can be read in two ways: either the folders {few(names)} are classes, or they "
            "are dates and say nothing of what the images show. Set labels=true if they are "
            "classes, labels=false if not"
        )
