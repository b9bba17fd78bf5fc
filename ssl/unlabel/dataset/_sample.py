"""The samples of a shard: files that share a key, as the webdataset library groups them."""

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from unlabel.data.decode import FORMATS
from unlabel.data.image_files import ENDINGS, Skipped
from unlabel.data.names import as_text
from unlabel.data.shards import Member
from unlabel.dataset._classes import NUMBER
from unlabel.errors import UserError

AUTO = "auto"
# Everything before the first dot of a file's name is its key; the rest is its ending.
NAME = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)")
PICKLES = ("pyd", "pickle", "pkl", "pk", "pt", "pth")
NO_KEY = "no key by its name"
NO_IMAGE = "no image for its key"
NEVER_READ = "never read, as a pickle can run code"


class Sample(NamedTuple):
    """The files of a shard that share a key."""

    key: str
    image: Member
    others: dict[str, Member]  # by ending, in small letters


def samples(members: Sequence[Member], wanted: str, where: str) -> tuple[list[Sample], Skipped]:
    """The samples that have an image, in order, and the names of what has none.

    `wanted` is the ending of the images, several with ; between them, or auto for any image.
    Raises `UserError` if a key has two images, or a file is there twice.
    """
    keys, skipped = dict[str, dict[str, Member]](), Skipped()
    for member in members:
        name = as_text(member.name.removeprefix("./"))
        parts = NAME.fullmatch(name)
        if not parts:
            skipped.setdefault(NO_KEY, []).append(name)
            continue
        files, ending = keys.setdefault(parts[1], {}), parts[2].lower()
        if ending in files:
            raise UserError(f"{where} has {name} twice; make the shard again")
        files[ending] = member._replace(name=name)
    found = []
    for key, files in keys.items():
        images = [ending for ending in files if _is_image(ending, wanted)]
        if len(images) > 1:
            raise UserError(
                f"{where} has two images for the key {key}: .{images[0]} and "
                f".{images[1]}; choose one ending, as in image={images[0]}"
            )
        if images:
            image = files.pop(images[0])
            found.append(Sample(key, image, files))
        else:
            skipped.setdefault(NO_IMAGE, []).append(key)
    return found, skipped


def label(content: bytes, ending: str, field: str, where: str) -> str | None:
    """The label that a file has; None if it is empty or has no such field.

    A .json file has it in a `field`, a .cls file is a number, any other file is a text. Raises
    `UserError` if it cannot be read, or is neither number nor text.
    """
    try:
        text = content.decode()
        found = json.loads(text) if is_json(ending) else text.strip()
    except (ValueError, RecursionError) as error:
        kind = "JSON" if is_json(ending) else "text"
        raise UserError(f"{where} is not {kind}; mend it, or write label=null") from error
    if is_json(ending):
        found = found.get(field) if isinstance(found, dict) else found
        if not isinstance(found, int | str | None):
            raise UserError(
                f"{where} has {field}={found!r:.40}, which is neither a number nor a text; name "
                "another field, as in field=NAME, or write label=null"
            )
    elif ending.rpartition(".")[2] == "cls":
        if not NUMBER.fullmatch(found):
            raise UserError(
                f"{where} has {found[:40]!r}, which is not a number; write numbers into .cls, or "
                "names into .txt and set label=txt"
            )
        found = int(found)
    return None if found is None or found == "" else str(found)


def is_json(ending: str) -> bool:
    """Does a file with this ending have fields?"""
    return ending.rpartition(".")[2] == "json"


def why_not_read(ending: str) -> str:
    """Why a file beside an image is left out."""
    return NEVER_READ if {*ending.split(".")} & {*PICKLES} else f"not read (.{ending})"


def _is_image(ending: str, wanted: str) -> bool:
    if wanted != AUTO:
        return ending in wanted.lower().split(";")
    return ENDINGS.get("." + ending.rpartition(".")[2]) in FORMATS
