"""The encoded images of a table, read in place: few of them are in memory at a time."""

from bisect import bisect
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unlabel.data import arrow_stream, tables
from unlabel.data.decode import Unreadable

GROUPS, MOST = 16, 1 << 28  # groups of rows that are kept, and their bytes


class EncodedColumn:
    """The column of encoded images of a Parquet or an Arrow file.

    Of a Parquet file the last groups of rows are kept, at least two, so that several threads may
    read rows that are not far apart; an Arrow file is mapped into memory. Raises `UserError` if
    there is no such column, or it has no encoded images.
    """

    def __init__(self, file: Path, column: str):
        tables.check_columns(file, [column], tables.schema(file).names, tables.MEND)
        tables.images(pa.chunked_array([], tables.schema(file).field(column).type), file)
        self.file, self.column = file, column
        self.first = [0]  # the first row of each group
        self.kept = dict[int, pa.ChunkedArray]()
        if not arrow_stream.is_one(file):
            with tables.explained(file), pq.ParquetFile(file) as parquet:
                about = parquet.metadata
                sizes = [about.row_group(at).num_rows for at in range(about.num_row_groups)]
            self.first = list(accumulate(sizes, initial=0))[:-1]

    def read(self, row: int) -> bytes:
        """The file in a row, from 0 on. Raises `Unreadable` if there is none."""
        group = bisect(self.first, row) - 1
        images = self.kept.get(group)
        if images is None:
            images = self._group(group)
            # Whole at each moment; what another thread adds meanwhile is read again.
            self.kept = _bounded({**self.kept, group: images})
        image = images[row - self.first[group]]
        if not image.is_valid:
            raise Unreadable("there is no image")
        return bytes(image.as_py())

    def _group(self, group: int) -> pa.ChunkedArray:
        with tables.explained(self.file):
            if arrow_stream.is_one(self.file):
                images = arrow_stream.mapped(self.file)[self.column]
            else:
                with pq.ParquetFile(self.file) as parquet:
                    images = parquet.read_row_group(group, columns=[self.column])[self.column]
            images.validate(full=True)
        return tables.images(images, self.file)[0]


def _bounded(groups: dict[int, pa.ChunkedArray]) -> dict[int, pa.ChunkedArray]:
    """The last `GROUPS`, as many as `MOST` allows, but at least two."""
    kept = list(groups.items())[-GROUPS:]
    size = sum(each.nbytes for _, each in kept)
    while len(kept) > 2 and size > MOST:
        size -= kept.pop(0)[1].nbytes
    return dict(kept)
