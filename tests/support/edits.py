"""Edits of a copy of the package, and what they do to fingerprints."""

from functools import cache
from pathlib import Path

from support.models import composed
from unlabel.fingerprint import content, fingerprint, found, others, reach, targets
from unlabel.fingerprint.source import Source
from unlabel.workflow.planned_runs import SECTIONS

METHODS = ("simclr", "moco", "rotation", "random")
LOSSES, SIMCLR, LAYERS = "nn/losses.py", "method/simclr.py", "nn/layers.py"
Edit = tuple[str, str, str]  # a file, what is replaced in it (nothing: its end), and by what
PARSED: dict[tuple[Path, bytes], Source] = {}  # of all tests; most files are never edited


def source(module: str, path: Path) -> Source:
    key = (path, path.read_bytes())
    if key not in PARSED:
        PARSED[key] = Source(module, path)
    return PARSED[key]


@cache
def names(method: str) -> tuple[str, ...]:
    """What the plan takes the fingerprint of a method's training of."""
    settings = composed(method)
    return "unlabel.stage.pretrain", *targets({key: settings[key] for key in SECTIONS["pretrain"]})


def forget() -> None:
    for each in (reach.file_of, reach.source_of, reach.reached, others, content.read):
        each.cache_clear()
    content.digest.cache_clear()
    found.clear()


def now(*names: str) -> str:
    """The fingerprint of the files as they are."""
    forget()
    return fingerprint(*names)


def of(method: str) -> str:
    """The fingerprint of a method's training."""
    return fingerprint(*names(method))


def edit(package: Path, *edits: Edit) -> None:
    for file, old, new in edits:
        path = package / file
        text = path.read_text() if path.exists() else ""
        assert old in text, (file, old)
        path.write_text(text.replace(old, new, 1) if old else text + new)


def again(package: Path, *edits: Edit) -> set[str]:
    """The methods that would be trained again after some edits."""
    forget()
    before = {method: of(method) for method in METHODS}
    edit(package, *edits)
    forget()
    return {method for method in METHODS if of(method) != before[method]}


def added(text: str) -> Edit:
    return LOSSES, "", f"\n\n{text}\n"
