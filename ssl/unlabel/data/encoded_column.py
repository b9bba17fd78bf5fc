"""The encoded images of a table, read in place: few of them are in memory at a time."""

from bisect import bisect
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unlabel.data import arrow_stream, tables
from unlabel.data.decode import Unreadable

GROUPS, MOST = 16, 1 << 28  # groups of rows that are kept, and their bytes


class Kept:
    """The groups of rows that were read last from the Parquet files of a table, at least two.

    So several threads may read rows that are not far apart.
    """

    def __init__(self) -> None:
        self.groups = dict[tuple[Path, int], pa.ChunkedArray]()

    def add(self, file: Path, group: int, images: pa.ChunkedArray) -> None:
        """Keep a group, and forget the oldest."""
        # Whole at each moment; what another thread adds meanwhile is read again.
        self.groups = _bounded({**self.groups, (file, group): images})


class EncodedColumn:
    """The column of encoded images of a Parquet or an Arrow file.

    The columns of a table's files share what they have `kept` of Parquet files; an Arrow file is
    mapped into memory. Raises `UserError` if there is no such column, or it has no encoded images.
    """

    def __init__(self, file: Path, column: str, kept: Kept):
        tables.check_columns(file, [column], tables.schema(file).names, tables.MEND)
        tables.images(pa.chunked_array([], tables.schema(file).field(column).type), file)
        self.file, self.column = file, column
        self.first = [0]  # the first row of each group
        self.kept = kept
        self.mapped = arrow_stream.is_one(file)
        if not self.mapped:
            with tables.explained(file), pq.ParquetFile(file) as parquet:
                about = parquet.metadata
                sizes = [about.row_group(at).num_rows for at in range(about.num_row_groups)]
            self.first = list(accumulate(sizes, initial=0))[:-1]

    def read(self, row: int) -> bytes:
        """The file in a row, from 0 on. Raises `Unreadable` if there is none."""
        group = bisect(self.first, row) - 1
        images = self._all if self.mapped else self.kept.groups.get((self.file, group))
        if images is None:
            images = self._group(group)
            self.kept.add(self.file, group, images)
        image = images[row - self.first[group]]
        if not image.is_valid:
            raise Unreadable("there is no image")
        return bytes(image.as_py())

    @cached_property
    def _all(self) -> pa.ChunkedArray:
        with tables.explained(self.file):
            return self._valid(arrow_stream.mapped(self.file)[self.column])

    def _group(self, group: int) -> pa.ChunkedArray:
        with tables.explained(self.file), pq.ParquetFile(self.file) as parquet:
            return self._valid(parquet.read_row_group(group, columns=[self.column])[self.column])

    def _valid(self, images: pa.ChunkedArray) -> pa.ChunkedArray:
        images.validate(full=True)
        return tables.images(images, self.file)[0]


def _bounded(
    groups: dict[tuple[Path, int], pa.ChunkedArray],
) -> dict[tuple[Path, int], pa.ChunkedArray]:
    """The last `GROUPS`, as many as `MOST` allows, but at least two."""
    kept = list(groups.items())[-GROUPS:]
    size = sum(each.nbytes for _, each in kept)
    while len(kept) > 2 and size > MOST:
        size -= kept.pop(0)[1].nbytes
    return dict(kept)
