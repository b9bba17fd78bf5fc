"""What Hugging Face's `datasets` writes beside the rows of its tables."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from unlabel.data.names import few
from unlabel.errors import UserError, damage

STATE, SPLITS, INFO = "state.json", "dataset_dict.json", "dataset_info.json"
AGAIN = "save the dataset again with save_to_disk"
Features = Mapping[str, Mapping[str, Any]]  # what is known of each column


def saved(folder: Path) -> list[Path]:
    """The Arrow files of a dataset that `save_to_disk` wrote, in order; none if it did not.

    Raises `UserError` if one is missing, or what says so is damaged.
    """
    about = folder / SPLITS
    if about.exists():
        folders = [folder / _plain(name, about) for name in _loaded(about, "splits", list)]
    else:
        folders = sorted(state.parent for state in folder.rglob(STATE))
    return [file for each in folders for file in _files(each / STATE)]


def features(schema: pa.Schema, file: Path) -> Features:
    """What the file itself, or the dataset_info.json beside it, says of its columns."""
    try:
        within = (schema.metadata or {}).get(b"huggingface")
        if within:
            return dict(json.loads(within)["info"]["features"])
        return dict(json.loads((file.parent / INFO).read_text(encoding="utf-8"))["features"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def class_names(known: Features) -> dict[str, list[str]]:
    """The names of the classes of each column whose numbers stand for classes."""
    try:
        return {
            column: [str(name) for name in about["names"]]
            for column, about in known.items()
            if about.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, AttributeError):
        return {}


def image_column(
    schema: pa.Schema, known: Features, where: Path, setting: str = "image=COLUMN"
) -> str:
    """The one column of images. Raises `UserError` if there are none or several.

    `setting` is what names one.
    """
    found = _of_type(schema, known, "Image") or [
        each.name for each in schema if _holds_files(each.type)
    ]
    if len(found) != 1:
        has = f"several columns of images ({few(found)})" if found else "no column of images"
        raise UserError(
            f"{where} has {has}; its columns are {', '.join(schema.names)}. Name one, as in "
            f"{setting}"
        )
    return found[0]


def label_column(schema: pa.Schema, known: Features, where: Path) -> str | None:
    """The one column of classes, or else the one called label; None if there is none.

    Raises `UserError` if there are several columns of classes.
    """
    found = _of_type(schema, known, "ClassLabel")
    if len(found) > 1:
        raise UserError(
            f"{where} has several columns of classes: {', '.join(found)}. Name one, as in "
            f"label={found[0]}, or write label=null"
        )
    return next((name for name in (*found, "label", "labels") if name in schema.names), None)


def _of_type(schema: pa.Schema, known: Features, kind: str) -> list[str]:
    about = {name: known.get(name) for name in schema.names}
    return [n for n, each in about.items() if isinstance(each, dict) and each.get("_type") == kind]


def _holds_files(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return True
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _files(state: Path) -> list[Path]:
    if not state.exists():
        raise UserError(f"{state} does not exist, but {SPLITS} names its folder; {AGAIN}")
    if _loaded(state).get("_indices_data_files"):
        raise UserError(
            f"{state} says that only some rows count, in an order of their own; save the dataset "
            "again after flatten_indices()"
        )
    files = []
    for each in _loaded(state, "_data_files", list):
        with damage(f"{state} is not as datasets writes it", AGAIN):
            files.append(state.parent / _plain(each["filename"], state))
    if missing := [str(file) for file in files if not file.is_file()]:
        raise UserError(f"{state} names files that do not exist: {few(missing)}; get a whole copy")
    return files


def _plain(name: Any, where: Path) -> str:
    """The name of a file or folder that lies beside `where`."""
    if not isinstance(name, str) or name in ("", "..") or Path(name).name != name:
        raise UserError(f"{where} names {name!r}, which does not lie beside it; {AGAIN}")
    return name


def _loaded(file: Path, key: str = "", kind: type = dict) -> Any:
    with damage(f"{file} is not as datasets writes it", AGAIN):
        found = json.loads(file.read_text(encoding="utf-8"))
        found = found[key] if key else found
        if not isinstance(found, kind):
            raise TypeError(f"{key or 'it'} is no {kind.__name__}")
        return found
