"""A Hugging Face dataset on disk."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from unlabel.data import hugging_face, tables
from unlabel.data.names import as_text
from unlabel.dataset._listing import Listing
from unlabel.dataset.table import Table

AUTO = "auto"
NOT_NAMED = f"an .arrow file that no {hugging_face.STATE} names"


@dataclass(frozen=True, kw_only=True)
class HuggingFace(Table):
    """A table that Hugging Face's `datasets` wrote, read without it.

    `path` is what `save_to_disk` wrote (Arrow files, state.json), or a folder of Parquet files as
    on the Hub (data/train-00000-of-00002.parquet). The types of the columns say which one has the
    images and which one the classes, and the names of files and folders say the splits.
    """

    image: str = AUTO  # the one column of images
    label: str | None = AUTO  # the one column of classes, or the column label; else none
    split: str | None = AUTO  # the column split, or the names of the files; else none

    def alone(self) -> Listing:
        chosen = self._chosen()
        listing = Table.alone(chosen)
        listing.remarks.append(
            f"images in the column {chosen.image}, "
            + (f"classes in {chosen.label}" if chosen.label else "no column of classes")
        )
        if (place := self.place).is_dir():
            listing.remarks += lacking(place, tables.files_of(place))
        if left_out := self._not_named():
            listing.skipped[NOT_NAMED] = left_out
        return listing

    def _chosen(self) -> Self:
        """The same with the names of its columns."""
        place = self.place
        file = tables.files_of(place)[0]
        schema = tables.schema(file)
        known = hugging_face.features(schema, file)
        image, label, split = self.image, self.label, self.split
        if image == AUTO:
            image = hugging_face.image_column(schema, known, place)
        if label == AUTO:
            label = hugging_face.label_column(schema, known, place)
        if split == AUTO:
            split = "split"
            by_file = replace(self, split=split).split_by_file()
            split = split if by_file or split in schema.names else None
        return replace(self, image=image, label=label, split=split)

    def _not_named(self) -> list[str]:
        place = self.place
        if not place.is_dir():
            return []
        found = set(place.rglob("*.arrow")) - {*tables.files_of(place)}
        return sorted(as_text(each.relative_to(place)) for each in found)


def lacking(place: Path, files: Iterable[Path]) -> list[str]:
    """A remark on each group of files, as train-00000-of-00002.parquet, that is not all here."""
    here = defaultdict[str, set[int]](set)
    for file in files:
        if found := re.fullmatch(r"(.*-)?(\d+)(-of-\d+)(-[0-9a-f]{16})?", file.stem):
            name = file.with_name(f"{found[1] or ''}*{found[3]}{file.suffix}")
            here[as_text(name.relative_to(place))].add(int(found[2]))
    of = {name: int(re.findall(r"-of-(\d+)", name)[-1]) for name in here}
    return [
        f"{len(found)} of the {of[name]} files {name} are here; images of the others are missing"
        for name, found in sorted(here.items())
        if len(found) < of[name]
    ]
