"""Where an encoder's weights come from: the settings that every encoder has besides its own."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from unlabel.errors import UserError
from unlabel.files import sha256
from unlabel.params import own_code

FOLDER = Path("data/weights")  # of the files that `encoder.weights` names without a folder
CODE = Path("params/encoder")  # of the files that `encoder.file` names: code that may be run
PUBLISHED = "published"  # the weights that the encoder's library publishes
RUNS = "data/runs/"
START = "unlabel.encoder._start.Start"
OWN = "unlabel.encoder.own.Own"
KEYS = ("weights", "allow", "match", "mean", "std")

Settings = Mapping[str, Any]


def separate(recipe: Settings, where: str = "encoder") -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of a network, and those of its start, which are empty if that is random.

    Raises `UserError` for settings of weights without weights.
    """
    network = {key: value for key, value in recipe.items() if key not in KEYS}
    start = {key: recipe[key] for key in KEYS if recipe.get(key) is not None}
    if "weights" in start:
        return network, {"_target_": START} | start
    if start:
        raise UserError(
            f"{where}.{next(iter(start))} is about weights, but {where}.weights is null; name some"
        )
    return network, {}


def weights_file(weights: str) -> Path | None:
    """The file that `encoder.weights` names; None if it names published weights."""
    if weights == PUBLISHED:
        return None
    return Path(weights).expanduser() if "/" in weights else FOLDER / weights


def place(settings: Settings) -> Path | None:
    """The file that settings of a start, or of code of one's own, name; None if there is none."""
    if settings["_target_"] == START:
        return weights_file(settings["weights"])
    return CODE / settings["file"] if isinstance(settings.get("file"), str) else None


def naming(settings: Any) -> Iterator[dict[str, Any]]:
    """All settings inside of others that name a file."""
    if isinstance(settings, Mapping):
        if settings.get("_target_") in (START, OWN):
            assert isinstance(settings, dict)
            yield settings
        for value in settings.values():
            yield from naming(value)


def files(settings: Any) -> list[Path]:
    """The files that weights and code of one's own are in."""
    return [path for each in naming(settings) if (path := place(each))]


def of_runs(settings: Any) -> list[str]:
    """Those of them that other runs make."""
    return [str(path) for path in files(settings) if str(path).startswith(RUNS)]


def sealed(settings: Any, digest: Callable[[Path], str]) -> dict[str, str]:
    """Write the sha256 of each file into the settings that name it -> the same by file.

    Those that other runs make may not be there yet, and are inputs of a rule.
    """
    found = {}
    for each in naming(settings):
        path = place(each)
        if path is not None and not str(path).startswith(RUNS):
            found[str(path)] = each["sha256"] = digest(path)
    return found


def digests(settings: Any) -> dict[str, str]:
    """The sha256 of each of the files. Raises `UserError` if one cannot be read."""
    return {str(path): digest(path) for path in files(settings)}


def is_code(path: Path) -> bool:
    """Is it a file that `encoder.file` names?"""
    return path.parent == CODE


def digest(path: Path) -> str:
    """The sha256 of a file of weights, or of all code that such a file of one's own imports.

    Raises `UserError` if it cannot be read.
    """
    try:
        if is_code(path):
            return own_code.digest(path)
        return sha256(path)
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}; encoder.weights names a file in {FOLDER} or, "
            f"in a recipe, any path; encoder.file names a file in {CODE}"
        ) from error
