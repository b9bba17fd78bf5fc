"""A table of your own images."""

from dataclasses import dataclass
from functools import partial
from hashlib import file_digest
from pathlib import Path

import pyarrow as pa

from unlabel.data import tables
from unlabel.data.decode import Unreadable, content
from unlabel.dataset._collection import Collection, Listing
from unlabel.dataset._layout import UNLABELLED, meaning
from unlabel.dataset._outcome import Example
from unlabel.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Table(Collection):
    """One row for each image: its path or its encoded bytes, its label and its split.

    `path` is a CSV or Parquet file, or a folder of Parquet files, whose names may say their split
    (train-00000-of-00002.parquet). Paths of images start at the table's folder, and may lead out of
    it only if `outside` allows it.
    """

    image: str = "image"
    label: str | None = "label"
    split: str | None = "split"
    id: str | None = None  # the column of names; else the path or the row's number is the name
    outside: bool = False

    def listing(self) -> Listing:
        """All images, in the table's order.

        Raises `UserError` if a column, a split or an image is wrong.
        """
        place = self.place
        by_file = self._split_by_file(place)
        named = (self.image, self.label, None if by_file else self.split, self.id)
        table = tables.read(place, [name for name in named if name is not None])
        if not len(table):
            raise UserError(f"{place} has no rows, so no images")
        images, encoded = tables.images(table[self.image], place)
        marks = self._marks(table, place, by_file)
        names = self._names(table, images, encoded, place)
        _check_unique(names, place)
        examples = []
        folder = place if place.is_dir() else place.parent
        for name, (split, label), image in zip(names, marks, images, strict=True):
            if encoded:
                examples.append(Example(name, split, label, partial(_bytes, image)))
            else:
                path = image.as_py()
                read = partial(self._read, folder, path)
                examples.append(Example(name, split, label, read, path or ""))
        return Listing(examples, {}, table.remarks, _checksums(place))

    def sketch(self) -> list[Example]:
        place, wanted = self.place, [self.label]
        by_file = self._split_by_file(place)
        if not by_file:
            wanted.append(self.split)
        named = [name for name in wanted if name is not None]
        if not named and not tables.has_paths(place, self.image):  # do not read the images
            rows = sum(map(tables.rows, tables.files_of(place)))
            return [Example("", "", None, bytes)] * rows
        table = tables.read(place, named or [self.image])
        return [Example("", *each, bytes) for each in self._marks(table, place, by_file)]

    def _marks(
        self, table: tables.Table, place: Path, by_file: dict[Path, str]
    ) -> list[tuple[str, str | None]]:
        """The split and the label of each row."""
        if by_file:
            splits = [by_file[file] for file, rows in table.files for _ in range(rows)]
        else:
            splits = self._splits(table, place) if self.split else [""] * len(table)
        labels = table.texts(self.label) if self.label else [None] * len(table)
        return [
            ("train", None) if split == UNLABELLED else (split, label)
            for split, label in zip(splits, labels, strict=True)
        ]

    def _split_by_file(self, place: Path) -> dict[Path, str]:
        """The split of each file of a folder, if no column says it but the names of the files do.

        Raises `UserError` if only some of the names do.
        """
        if not place.is_dir() or not self.split or self.split in tables.column_names(place):
            return {}
        words = {file: meaning(tables.prefix(file)) for file in tables.files_of(place)}
        found = {file: word for file, word in words.items() if word}
        if found and len(found) < len(words):
            other = min(file for file in words if file not in found)
            raise UserError(
                f"the name of {min(found)} says that it is of {found[min(found)]}, but the name of "
                f"{other} says no split; rename it, or name a column with dataset.split"
            )
        return found

    def _names(
        self, table: tables.Table, images: pa.Array, encoded: bool, place: Path
    ) -> list[str]:
        several = len(table.files) > 1
        rows = [
            f"{f'{tables.name_in(place, file)} ' * several}row {number}"
            for file, size in table.files
            for number in range(1, size + 1)
        ]
        if encoded and self.id is None:
            return rows
        names = table.texts(self.id) if self.id else tables.texts(images)
        return [name or row for name, row in zip(names, rows, strict=True)]

    def _splits(self, table: tables.Table, place: Path) -> list[str]:
        said, found = table.texts(str(self.split)), []
        for number, name in enumerate(said, 1):
            word = meaning(name or "")
            if word is None:
                raise UserError(
                    f"row {number} of {place} has {name or 'nothing'!r} in the column "
                    f"{self.split!r}, which is no split; write train, validation or test"
                )
            found.append(word)
        return found

    def _read(self, folder: Path, path: str | None) -> bytes:
        if not path:
            raise Unreadable("there is no path")
        if "\0" in path:
            raise Unreadable("its path has a null byte")
        file = folder / path
        if not self.outside and not file.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"{path} leads out of {folder}, the folder of its table; put the images there, "
                "or set outside=true if you trust the table"
            )
        return content(file)


def _bytes(image: pa.Scalar) -> bytes:
    if not image.is_valid:
        raise Unreadable("there is no image")
    return image.as_py()


def _checksums(place: Path) -> dict[str, str]:
    """The sha256 of each file of a table."""
    found = {}
    for path in tables.files_of(place):
        with path.open("rb") as file:
            found[tables.name_in(place, path)] = file_digest(file, "sha256").hexdigest()
    return found


def _check_unique(names: list[str], place: Path) -> None:
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if first.setdefault(name, number) != number:
            raise UserError(
                f"the rows {first[name]} and {number} of {place} both are {name!r}; "
                "remove one, or name a column of unique names in dataset.id"
            )
