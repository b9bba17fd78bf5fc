"""Have one's own images changed? Told by names, sizes and times, without reading them."""

import json
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from unlabel.errors import UserError


def look(path: str | None, report: Path, name: str) -> dict[str, Any]:
    """The `path` that the dataset `name` is made from, and its `content`: its fingerprint.

    Where it is not here, as on a machine that only has what was prepared, it counts as unchanged
    since `report` was written, which also knows whether the images are `labelled`. Raises
    `UserError` if the report is of another place, or there is none.
    """
    if path is None:
        raise UserError(
            f"the dataset {name!r} has no path; say where your images are, as in "
            f"--config dataset={name} path=FOLDER, or in params/dataset/{name}.yaml"
        )
    place = Path(path).expanduser()
    try:
        if place.exists():
            return {"path": path, "content": fingerprint(place)}
        told = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
        if told.get("path") == path:
            return {key: told[key] for key in ("path", "content", "labelled")}
    except OSError as error:
        raise UserError(f"cannot read {error.filename}: {error.strerror}") from error
    except (KeyError, ValueError) as error:
        raise UserError(f"{report} is damaged; delete it and prepare the dataset again") from error
    raise UserError(
        f"{path} does not exist; set the path of the dataset {name!r} to where your images are"
    )


def fingerprint(path: Path) -> str:
    """Of a file, or of all files below a folder; hidden ones do not count.

    What changes neither the size of a file nor the time of its last change is not noticed.
    """
    lines = sorted(_lines(path)) if path.is_dir() else [_line(path.name, path.stat())]
    return sha256(b"\n".join(lines)).hexdigest()[:16]


def _lines(folder: Path, below: str = "") -> Iterator[bytes]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _lines(Path(entry), f"{name}/")
            elif entry.is_file():  # no link that leads nowhere
                yield _line(name, entry.stat())


def _line(name: str, about: os.stat_result) -> bytes:
    return os.fsencode(f"{name} {about.st_size} {about.st_mtime_ns}")
