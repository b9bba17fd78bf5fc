"""A Hugging Face dataset on disk."""

from dataclasses import dataclass, replace
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
