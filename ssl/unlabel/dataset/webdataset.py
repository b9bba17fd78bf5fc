"""Images in .tar shards, as the webdataset library and img2dataset write them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, Self

from unlabel.data import shards
from unlabel.data.decode import Unreadable
from unlabel.data.shards import Member, Shards
from unlabel.dataset import _by_file
from unlabel.dataset._collection import Collection
from unlabel.dataset._layout import UNLABELLED
from unlabel.dataset._listing import Listing
from unlabel.dataset._outcome import Example
from unlabel.dataset._sample import AUTO, Sample, label, samples, why_not_read
from unlabel.errors import UserError


@dataclass(frozen=True, kw_only=True)
class WebDataset(Collection):
    """Shards whose files share a key: 000123.jpg and 000123.cls are an image and its label.

    `path` is a .tar file, a folder of them, or a path with braces (train-{000000..000146}.tar).
    Names of shards and of their folders may say the split. A file `classnames.txt` beside the
    shards may name the classes, one in a line; of classes with the same name, the number is added.
    """

    image: str = AUTO  # the ending of the images, such as input.jpg; auto: that of any image
    label: str | None = AUTO  # the ending of the labels; auto: cls, else json; null: none
    field: str = "label"  # where the label is in a .json file
    splits: Literal["auto", False] = "auto"  # false: no name says a split

    def alone(self) -> Listing:
        """All images, in the order of the shards.

        Raises `UserError` if a shard is damaged, a key has two images, or a label is wrong.
        """
        found, listing = self._shards(), Listing([])
        mend = "set splits=false if no name says a split"
        split = _by_file.splits(found.root, found.files, mend) if self.splits else {}
        names = _class_names(found)
        endings = set[str]()  # of labels
        for file in found.files:
            endings |= self._add(listing, file, found.name(file), split.get(file, ""), names)
        if not listing.examples:
            why = next(iter(listing.skipped), "they are empty")
            raise UserError(f"the shards of {self.written} have no images ({why})")
        if self.label not in (None, AUTO, *endings):
            raise UserError(
                f"no image of {self.written} has a file .{self.label} beside it; name another "
                "ending, as in label=cls, or write label=null"
            )
        listing.skipped |= found.skipped
        labels = " and ".join(f".{each}" for each in sorted(endings)) or "no file"
        many = "s" * (len(found.files) > 1)
        listing.remarks.append(f"{len(found.files)} shard{many}; labels in {labels}")
        return listing

    def unlabelled(self) -> Self:
        return replace(self, label=None, splits=False, probe_path=None)

    def index(self) -> list[tuple[str, Path]]:
        return self._shards().named()

    def _shards(self) -> Shards:
        return shards.find(self.written)

    def _add(
        self, listing: Listing, file: Path, name: str, split: str, names: Sequence[str]
    ) -> set[str]:
        """Add what is in one shard; gives the ending of its labels, if it has any."""
        members, links = shards.index(file)
        found, skipped = samples(members, self.image, str(file))
        ending = None if split == UNLABELLED else self._ending(file, found)
        split = "train" if split == UNLABELLED else split
        skipped |= {shards.NO_FILE: links} if links else {}
        for key, image, others in found:
            said = others.pop(ending, None) if ending else None
            number = said and self._label(file, str(ending), said)
            text = _named(number, names, f"{file} has the key {key}") if number else None
            read = partial(shards.read, file, image.offset, image.size)
            listing.examples.append(Example(f"{name}/{image.name}", split, text, read))
            for each, other in others.items():
                skipped.setdefault(why_not_read(each), []).append(other.name)
        for why, left_out in skipped.items():
            listing.skipped.setdefault(why, []).extend(f"{name}/{each}" for each in left_out)
        return {ending} if ending else set()

    def _ending(self, file: Path, found: Sequence[Sample]) -> str | None:
        """The ending of the labels in a shard; None if there are none."""
        if self.label != AUTO:
            there = any(self.label in sample.others for sample in found)
            return self.label if there else None
        if any("cls" in sample.others for sample in found):
            return "cls"
        first = next((sample.others["json"] for sample in found if "json" in sample.others), None)
        return "json" if first and self._label(file, "json", first) is not None else None

    def _label(self, file: Path, ending: str, member: Member) -> str | None:
        where = f"{member.name} in {file}"
        try:
            content = shards.read(file, member.offset, member.size)
        except (OSError, Unreadable) as error:
            raise UserError(f"cannot read {where}: {error}") from error
        return label(content, ending, self.field, where)


def _class_names(found: Shards) -> list[str]:
    """The names in the file `classnames.txt` beside the shards, if there is one.

    ImageNet's usual names have two cranes, of different classes: they become "crane (134)" and
    "crane (517)".
    """
    file = found.root / shards.CLASS_NAMES
    if not file.is_file():
        return []
    try:
        names = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: it is no text in UTF-8") from error
    count = Counter(names)
    return [
        f"{name} ({number})" if name and count[name] > 1 else name
        for number, name in enumerate(names)
    ]


def _named(said: str, names: Sequence[str], where: str) -> str:
    """The name of a class; the number itself if there are no names, or there is no label (-1)."""
    if not names or not said.isdecimal():
        return said
    if int(said) >= len(names):
        raise UserError(
            f"{where} of class {said}, but {shards.CLASS_NAMES} names {len(names)} classes, from 0 "
            "on; add the others, or remove that file"
        )
    if not names[int(said)]:
        raise UserError(
            f"{where} of class {said}, but line {int(said) + 1} of {shards.CLASS_NAMES}, which "
            "should name it, is blank; write its name there, or remove that file"
        )
    return names[int(said)]
