"""The classes of your own images: their names, their order, and whether each has enough images."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unlabel.data.images import UNLABELLED
from unlabel.data.names import few
from unlabel.errors import UserError

NUMBER = re.compile(r"-?\d{1,18}")
NO_LABEL = "-1"  # as PyTorch, scikit-learn and Hugging Face write it
SHOWN = 10  # classes that a line lists


class Classes(NamedTuple):
    """The classes of N images."""

    names: tuple[str, ...]  # numbers in their order, else by the alphabet
    label: Tensor  # int64 (N,), -1 where there is none
    remarks: list[str]  # what people should know


def known_labels(labels: Sequence[str | None]) -> list[str | None]:
    """The labels, with None for -1 where -1 means that there is no label.

    It does among numbers from 0 on, and beside two names or more. Beside a 1 alone, or one name, it
    is a class.
    """
    names = {label for label in labels if label is not None}
    others = names - {NO_LABEL}
    numbers = all(name.isascii() and name.isdecimal() for name in others)
    words = len(others) > 1 and not any(NUMBER.fullmatch(name) for name in others)
    if NO_LABEL not in names or not (numbers or words) or others == {"1"}:
        return list(labels)
    return [None if label == NO_LABEL else label for label in labels]


def classes_of(labels: Sequence[str | None]) -> Classes:
    """Number the classes. One class alone tells nothing, so its images count as unlabelled."""
    kept, remarks = known_labels(labels), []
    if minus := sum(a != b for a, b in zip(labels, kept, strict=True)):
        remarks.append(f"{minus} with the label -1, taken as unlabelled")
    names = {label for label in kept if label is not None}
    if len(names) == 1:
        remarks.append(
            f"all have the class {min(names)!r}, which tells nothing: taken as unlabelled"
        )
        names = set()
    numbers = all(NUMBER.fullmatch(name) for name in names)
    order = sorted(names, key=lambda name: (int(name) if numbers else 0, name))
    place: dict[str | None, int] = {name: at for at, name in enumerate(order)}
    label = torch.tensor([place.get(each, UNLABELLED) for each in kept], dtype=torch.int64)
    return Classes(tuple(order), label, remarks)


def describe(names: Sequence[str], splits: Sequence[str], unlabelled: int) -> str:
    """What was understood, in one line: "classes cat, dog; splits train, test; unlabelled 60"."""
    many = "" if len(names) <= SHOWN else f"{len(names)} "
    parts = [f"{many}classes {few(names, SHOWN)}" if names else "no classes"]
    if splits:
        parts.append(f"splits {', '.join(splits)}")
    if names and unlabelled:
        parts.append(f"unlabelled {unlabelled}")
    return "; ".join(parts)


def check_enough(
    content: Sequence[str],
    label: Tensor,
    split: Tensor,
    classes: Sequence[str],
    held_out: Sequence[str],
) -> None:
    """Raise `UserError` if a class has too few different images for the splits to hold out.

    `content` has the checksum of each image's file; `split` is 0 where an image is in train.
    """
    different = defaultdict(set)
    for at in (split == 0).nonzero().flatten().tolist():
        different[int(label[at])].add(content[at])
    kinds = sorted(kind for kind in different if kind != UNLABELLED) or [UNLABELLED]
    rare = {kind: len(different[kind]) for kind in kinds if len(different[kind]) <= len(held_out)}
    if not rare:
        return
    needed = (
        f"{len(held_out) + 1} are needed: one to train on and one each for "
        f"{' and '.join(held_out)}; add images, or remove "
    )
    if UNLABELLED in rare:
        raise UserError(f"there are {rare[UNLABELLED]} different images, but {needed}this dataset")
    if len(rare) == 1:
        ((kind, number),) = rare.items()
        raise UserError(
            f"the class {classes[kind]!r} has {number} different images, but {needed}this class"
        )
    each = few([f"{classes[kind]!r} {number}" for kind, number in rare.items()], SHOWN)
    raise UserError(
        f"{len(rare)} classes have too few different images ({each}), but {needed}these classes"
    )
