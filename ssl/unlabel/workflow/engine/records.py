"""Where Snakemake 9 keeps what it knows about an output: in a file named by the output's path."""

import base64
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

RECORDS = Path(".snakemake/metadata")  # what each output was made from
UNFINISHED = Path(".snakemake/incomplete")  # a mark for each output of a running job
OTHER = {"code": "the file is not the one that was recorded"}  # no rule has this code: it reruns
LONGEST = 254  # characters of a file's name; a longer one becomes folders


def place(folder: Path, target: str) -> Path:
    """The file in `folder` that is about the output with the path `target`."""
    name = base64.urlsafe_b64encode(target.encode()).decode()
    parts = [name[i : i + LONGEST] for i in range(0, len(name), LONGEST)]
    return folder.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def read(folder: Path) -> Iterator[tuple[str, Path]]:
    """Each output's path, and the file in `folder` that is about it.

    Other files are passed over, such as a temporary one that a power cut left.
    """
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = "".join(part.removeprefix("@") for part in file.relative_to(folder).parts)
        with suppress(ValueError):  # no such name
            target = base64.urlsafe_b64decode(name).decode()
            if place(folder, target) == file:
                yield target, file
