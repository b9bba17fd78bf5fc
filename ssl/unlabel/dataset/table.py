"""A table of your own images."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

from unlabel.data import tables
from unlabel.data.decode import Unreadable, content
from unlabel.data.encoded_column import EncodedColumn, Kept
from unlabel.dataset import _by_file
from unlabel.dataset._collection import Collection
from unlabel.dataset._layout import UNLABELLED, meaning
from unlabel.dataset._listing import Listing
from unlabel.dataset._outcome import Example
from unlabel.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Table(Collection):
    """One row for each image: its path or its encoded bytes, its label and its split.

    `path` is a CSV or Parquet file, or a folder of Parquet files, whose names may say their split
    (train-00000-of-00002.parquet). Encoded images are read when they are needed. Paths of images
    start at the table's folder, and may lead out of it only if `outside` allows it.
    """

    image: str = "image"
    label: str | None = "label"
    split: str | None = "split"
    id: str | None = None  # the column of names; else the path or the row's number is the name
    outside: bool = False

    def alone(self) -> Listing:
        """All images, in the table's order.

        Raises `UserError` if a column, a split or an image is wrong.
        """
        place, by_file = self.place, self.split_by_file()
        encoded = not tables.has_paths(place, self.image)
        image = None if encoded else self.image
        named = (image, self.label, None if by_file else self.split, self.id)
        table = tables.read(place, [name for name in named if name is not None])
        if not len(table):
            raise UserError(f"{place} has no rows, so no images")
        marks = self._marks(table, place, by_file)
        names = self._names(table, encoded, place)
        _check_unique(names, place)
        if encoded:
            kept = Kept()
            reads = [
                ("", partial(column.read, row))
                for file, rows in table.files
                for column in [EncodedColumn(file, self.image, kept)]
                for row in range(rows)
            ]
        else:
            folder = place if place.is_dir() else place.parent
            paths = tables.texts(table[self.image])
            reads = [(path or "", partial(self._read, folder, path)) for path in paths]
        examples = [
            Example(name, split, label, read, file)
            for name, (split, label), (file, read) in zip(names, marks, reads, strict=True)
        ]
        return Listing(examples, {}, table.remarks)

    def unlabelled(self) -> Self:
        return replace(self, label=None, split=None, probe_path=None)

    def index(self) -> list[tuple[str, Path]]:
        return [(tables.name_in(self.place, file), file) for file in tables.files_of(self.place)]

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

    def split_by_file(self) -> dict[Path, str]:
        """The split of each file of a folder, if no column says it but the names of the files do.

        Raises `UserError` if only some of the names do.
        """
        place = self.place
        if not place.is_dir() or not self.split or self.split in tables.column_names(place):
            return {}
        mend = "name a column with dataset.split, or null if there are no splits"
        return _by_file.splits(place, tables.files_of(place), mend)

    def _names(self, table: tables.Table, encoded: bool, place: Path) -> list[str]:
        several = len(table.files) > 1
        rows = [
            f"{f'{tables.name_in(place, file)} ' * several}row {number}"
            for file, size in table.files
            for number in range(1, size + 1)
        ]
        if encoded and self.id is None:
            return rows
        names = table.texts(self.id or self.image)
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


def _check_unique(names: list[str], place: Path) -> None:
    first: dict[str, int] = {}
    for number, name in enumerate(names, 1):
        if first.setdefault(name, number) != number:
            raise UserError(
                f"the rows {first[name]} and {number} of {place} both are {name!r}; "
                "remove one, or name a column of unique names in dataset.id"
            )
