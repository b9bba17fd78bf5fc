"""Tables with columns of vectors in Parquet files, written and read in bounded memory."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from torch import Tensor

from unlabel.data.images import UNLABELLED
from unlabel.errors import UserError, damage
from unlabel.features.split import ALL, SPLITS
from unlabel.files import whole

GROUP = 1 << 26  # bytes of a row group, about what writing and reading need beside the data
THERE = b"unlabel_there"  # how many rows have each vector, if not all have one


def write_tables(path: Path, tables: Iterator[pa.Table], about: Mapping[str, Any]) -> None:
    """Write tables of one schema, at least one, as one table, with `about` in its metadata.

    Uses bounded memory. Equal tables give equal bytes.
    """
    first = next(tables)
    schema = first.schema.with_metadata({"unlabel": json.dumps(about)})
    # Compression would save a tenth and take longer than the disk; nobody uses the statistics of
    # a column of vectors.
    names = ["split", "transform"]
    options = {"compression": "none", "use_dictionary": names, "write_statistics": False}
    options |= {"write_page_checksum": True}
    with whole(path) as part, pq.ParquetWriter(part, schema, **options) as writer:
        there, gaps = dict[str, int](), 0  # how many rows have each vector, and how many have not
        for group in _groups(chain([first], tables)):
            writer.write_table(group)
            for name in group.column_names:
                if pa.types.is_fixed_size_list(group.schema.field(name).type):
                    column = group[name]
                    there[name] = there.get(name, 0) + len(column) - column.null_count
                    gaps += column.null_count
        if gaps:
            writer.add_key_value_metadata({THERE: json.dumps(there)})


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join the tables into few tables of about `GROUP` bytes.

    Until a table is full, its parts are held as bytes in one piece. Many small pieces would lie in
    the memory between an encoder's layers, where the next layers then do not fit. For images of 96
    pixels that took 20 kB an image.
    """
    rest = iter(tables)
    table = next(rest, None)
    while table is not None:
        held, size = pa.BufferOutputStream(), 0
        with pa.ipc.new_stream(held, table.schema) as stream:
            while table is not None and (not size or size + table.nbytes <= GROUP):
                stream.write_table(table)
                size, table = held.tell(), next(rest, None)
        yield pa.ipc.open_stream(held.getvalue()).read_all()


def vectors(gaps: Mapping[str, Tensor], **columns: Tensor | None) -> dict[str, pa.Array]:
    """Each (B, D) as a column of fixed-size lists of float32; None gives no column.

    `gaps` says for a column in which rows (B,) its vector is left out.
    """
    found = {name: x for name, x in columns.items() if x is not None}
    return {name: _vector_column(x, gaps.get(name)) for name, x in found.items()}


def _vector_column(x: Tensor, gaps: Tensor | None) -> pa.Array:
    flat = pa.array(x.detach().float().cpu().numpy().reshape(-1))
    mask = None if gaps is None else pa.array(gaps.numpy())
    return pa.FixedSizeListArray.from_arrays(flat, x.shape[1], mask=mask)


def read_tables(
    path: Path, names: Sequence[str], gaps: Sequence[str] = ()
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Each column as one tensor; splits and transforms become numbers. Also `about`, as written.

    The columns `names` must be there. Those of `gaps` may lack vectors: if "z" does, "z_rows" says
    which rows have one. Reads a row group of a column at a time.
    """
    with damaged(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        about = json.loads(file.schema_arrow.metadata[b"unlabel"])
        if missing := set(names) - set(file.schema_arrow.names):
            raise KeyError(f"no column {min(missing)}")
        if ALL not in about.get("transforms", [ALL]):
            raise KeyError(f"no views of {ALL!r} transforms")
        groups = map(file.metadata.row_group, range(file.num_row_groups))
        if sum(group.num_rows for group in groups) != file.metadata.num_rows:
            raise ValueError("rows are missing")
        if not file.metadata.num_rows:
            raise ValueError("no rows")
        values = {"split": SPLITS, "transform": about.get("transforms")}
        columns: dict[str, Tensor] = {}
        for name in file.schema_arrow.names:
            columns[name], rows = _column(file, name, values.get(name), path)
            if rows is not None:
                if name not in gaps:
                    raise ValueError(f"{name} lacks values")
                columns[f"{name}_rows"] = rows
        return columns, about


def _column(
    file: pq.ParquetFile, name: str, values: Sequence[str] | None, path: Path
) -> tuple[Tensor, Tensor | None]:
    """What is in a column, and which rows have it; None: all."""
    there = json.loads((file.metadata.metadata or {}).get(THERE, b"{}"))
    number, start, filled = file.metadata.num_rows, 0, 0
    size = min(there.get(name, number), number)
    found, rows = torch.empty(0), []
    for group in range(file.num_row_groups):
        column = file.read_row_group(group, [name])[name].combine_chunks()
        part = _tensor(column, values)
        _check_finite(part, f"{name} in {path}")
        if not group:
            found = torch.empty(size, *part.shape[1:], dtype=part.dtype)
        found[filled : filled + len(part)] = part
        if len(part) < len(column):
            valid = torch.tensor(column.is_valid().to_numpy(zero_copy_only=False))
            rows.append(valid.nonzero().flatten() + start)
        else:
            rows.append(torch.arange(start, start + len(column)))
        start, filled = start + len(column), filled + len(part)
    if filled < len(found):
        raise ValueError(f"{name} lacks values")
    return found, torch.cat(rows) if filled < start else None


def damaged(path: Path) -> AbstractContextManager[None]:
    return damage(f"{path} is not a whole features file", "delete it and extract again")


def _tensor(column: pa.Array, names: Sequence[str] | None) -> Tensor:
    if pa.types.is_dictionary(column.type):
        column = pc.index_in(column.cast(pa.string()), pa.array(names))
    if pa.types.is_fixed_size_list(column.type):
        if not column.type.list_size:
            raise ValueError("features of length 0")
        return torch.tensor(column.flatten().to_numpy()).view(-1, column.type.list_size)
    return torch.tensor(column.fill_null(UNLABELLED).to_numpy())


def _check_finite(part: Tensor, where: str) -> None:
    if not part.isfinite().all():
        raise UserError(
            f"the features {where} are not all finite: the encoder diverged; "
            "train it with a lower optimizer.lr"
        )
