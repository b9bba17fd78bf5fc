"""Have your own images changed since they were prepared? Told without decoding them.

Names, sizes and times of change are compared first, which reads no file. If only times differ, the
contents are compared, so that a copied or touched file makes nothing be trained again.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from unlabel import files
from unlabel.data import braces, image_files, shards, tables
from unlabel.data.decode import Unreadable, content
from unlabel.data.names import as_text
from unlabel.errors import UserError
from unlabel.progress import Progress

LOST = "unreadable"  # stands for the checksum of a file that cannot be read
PROBE = "probe_path//"  # how names of images of the labelled set begin; no path has two slashes

TABLES = ("Table", "HuggingFace")

Recipe = Mapping[str, Any]


def look(
    recipe: Recipe, report: Path, name: str, cache: Path, typed: bool = False
) -> dict[str, Any]:
    """The `path` that the dataset `name` is made from, and a fingerprint of it, its `content`.

    Empty for a dataset that is not of your own images. If they have not changed since `report` was
    written, that also knows whether they are `labelled` and how many `images` each split has. If
    they are not here, as on a machine that only has the prepared dataset, they count as unchanged.
    Checksums of contents are kept in the folder `cache`.

    Raises `UserError` if there are no images and no report of them, or the path was `typed` and the
    dataset of this name is made from other images.
    """
    own = _own(recipe)
    if own is None:
        return {}
    path = own["path"]
    if path is None:
        raise UserError(
            f"the dataset {name!r} has no path; say where your images are, as in "
            f"--config dataset={name} path=FOLDER, or in params/dataset/{name}.yaml"
        )
    try:
        before = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
        probe = _probe(recipe)
        if is_there(path):
            if probe and not is_there(probe):
                raise no_probe(probe)
            found = {"path": path, "content": _content(own, before, cache)}
            if found["content"] == before.get("content"):
                return found | _counted(before)
            if typed and before and not _same_place(before["path"], path):
                raise _others(before["path"], path, name, report.parent)
            return found
        if before.get("path") == path and _probe(before.get("dataset") or {}) == probe:
            return {key: before[key] for key in ("path", "content")} | _counted(before)
    except OSError as error:
        raise UserError(f"cannot read {error.filename}: {error.strerror}") from error
    except (KeyError, ValueError, AttributeError) as error:
        raise UserError(f"{report} is damaged; delete it and prepare the dataset again") from error
    raise UserError(
        f"{path} does not exist; say where your images are, as in "
        f"--config dataset={name} path=FOLDER"
    )


def fingerprint(recipe: Recipe) -> str:
    """Of the files of a recipe: a hash of names and sizes, a dot, and one with their times."""
    sizes, times = list[tuple[str, str]](), list[tuple[str, str]]()
    for name, path in own_files(recipe):
        try:
            about = os.stat(path)  # noqa: PTH116 (a Path takes several times as long)
            sizes.append((name, str(about.st_size)))
            times.append((name, str(about.st_mtime_ns)))
        except OSError:
            sizes.append((name, LOST))
    return f"{digest(sizes)[:16]}.{digest(times)[:16]}"


def checksum(recipe: Recipe) -> str:
    """A hash of the names and the contents of all files of a recipe, as `prepare` reports it."""
    every, found = list(own_files(recipe)), dict[str, str]()
    index = {path for _, place in _places(recipe) for _, path in _index(recipe, place)}
    progress = Progress("files whose time has changed", len(every))
    for name, path in every:
        try:
            if path in index:
                found[name] = files.sha256(Path(path))
            else:
                found[name] = sha256(content(Path(path))).hexdigest()
        except (OSError, Unreadable):
            found[name] = LOST
        progress.advance(1)
    progress.close()
    return digest(found.items())


def digest(pairs: Iterable[tuple[str, str]]) -> str:
    """One checksum for names and what belongs to each, in any order."""
    return sha256("".join(f"{name} {each}\n" for name, each in sorted(pairs)).encode()).hexdigest()


def own_files(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """The name and the path of each file that a dataset of your own images is made from."""
    for start, place in _places(recipe):
        for name, path in (*_index(recipe, place), *_images(recipe, place)):
            yield start + name, path


def is_there(path: str) -> bool:
    """Does a path exist, or any of those that it stands for with its braces?"""
    return any(Path(each).expanduser().exists() for each in (path, *braces.expanded(path)))


def _places(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """How names begin, and the path, of the images and of the labelled set."""
    for key, start in (("path", ""), ("probe_path", PROBE)):
        if path := recipe.get(key):
            yield start, path


def _index(recipe: Recipe, path: str) -> list[tuple[str, str]]:
    """The names and the paths of the files that list or hold many images."""
    if _kind(recipe) == "WebDataset":
        found = shards.find(path).named()
    elif _kind(recipe) in TABLES:
        place = Path(path).expanduser()
        found = [(tables.name_in(place, file), file) for file in tables.files_of(place)]
    else:
        found = []
    return [(name, str(file)) for name, file in found]


def _images(recipe: Recipe, path: str) -> Iterator[tuple[str, str]]:
    """The names and the paths of the images that are files of their own."""
    root = Path(path).expanduser()
    if _kind(recipe) == "Table":
        column = recipe.get("image", "image")
        if tables.has_paths(root, column):
            folder = root if root.is_dir() else root.parent
            for each in dict.fromkeys(tables.texts(tables.read(root, [column])[column])):
                if each and "\0" not in each:
                    yield each, str(folder / each)
    elif _kind(recipe) not in (*TABLES, "WebDataset"):
        for name in image_files.names(root, recipe.get("links", False))[0]:
            yield as_text(name), f"{root}/{name}"


def _content(own: Recipe, before: Mapping[str, Any], cache: Path) -> str:
    """The fingerprint of the files now; the one from before if just times have changed."""
    now, known = fingerprint(own), before.get("content", "")
    if now == known or now.split(".")[0] != known.split(".")[0]:
        return now
    kept = cache / f"content-{now}"
    if not kept.exists():
        files.write_text(kept, checksum(own))
    return known if kept.read_text(encoding="utf-8") == before.get("files") else now


def _counted(before: Mapping[str, Any]) -> dict[str, Any]:
    """What a report knows of the images."""
    images = {split: int(each["images"]) for split, each in before["splits"].items()}
    classes = len(before["splits"]["train"]["classes"])
    return {"labelled": bool(before["labelled"]), "images": images, "classes": classes}


def _same_place(first: str, second: str) -> bool:
    """Are two paths the same place, however they are written?"""
    return first == second or os.path.realpath(Path(first).expanduser()) == os.path.realpath(
        Path(second).expanduser()
    )


def _others(there: str, path: str, name: str, prepared: Path) -> UserError:
    own = re.sub(r"[^\w.-]+", "_", as_text(Path(path).expanduser().resolve().stem)).strip("._-")
    return UserError(
        f"the dataset {name!r} is made of the images in {there}, and so is all that was trained on "
        f"it; give those in {path} a name of their own, as in --config dataset={name} path={path} "
        f"name={own or 'mine'}, or delete {prepared} if the first are no longer needed"
    )


def _own(recipe: Recipe) -> Recipe | None:
    """The part of a recipe that has the path of your own images."""
    if "path" in recipe:
        return recipe
    inner = (_own(value) for value in recipe.values() if isinstance(value, Mapping))
    return next((each for each in inner if each), None)


def _probe(recipe: Recipe) -> str | None:
    """The path of a recipe's labelled set, if it has one."""
    found: str | None = (_own(recipe) or {}).get("probe_path")
    return found


def no_probe(probe: str) -> UserError:
    """What to say if there is no labelled set."""
    return UserError(
        f"{probe} does not exist; say where your labelled images are, as in probe_path=FOLDER"
    )


def _kind(recipe: Recipe) -> str:
    """The name of the class of the dataset."""
    return str(recipe.get("_target_", "")).rpartition(".")[2]
