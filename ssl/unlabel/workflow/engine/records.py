"""Where Snakemake 9 keeps what it knows of an output: a file whose name is the output's path."""

import base64
from collections.abc import Iterator
from pathlib import Path

LONGEST = 254  # characters of a file's name; what is longer becomes folders


def place(folder: Path, target: str) -> Path:
    """The file of an output's path `target` in `folder`."""
    name = base64.urlsafe_b64encode(target.encode()).decode()
    parts = [name[i : i + LONGEST] for i in range(0, len(name), LONGEST)]
    return folder.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def read(folder: Path) -> Iterator[tuple[str, Path]]:
    """Each output's path, and the file of it in `folder`."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = "".join(part.removeprefix("@") for part in file.relative_to(folder).parts)
        yield base64.urlsafe_b64decode(name).decode(), file
