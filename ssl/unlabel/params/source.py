"""Who says what a study tests."""

from collections.abc import Mapping
from typing import Any

from unlabel.errors import UserError, did_you_mean

SOURCE = ("title", "arxiv", "where")


def sources(source: Any, where: str = "source") -> list[dict[str, str]]:
    """Each source's title, arxiv number and place. Raises `UserError` for another form."""
    found = []
    for each in source if isinstance(source, list) else [source] if source else []:
        each = {"title": each} if isinstance(each, str) else each
        if not isinstance(each, Mapping):
            raise UserError(f"{where} is {each!r}, but must be a text, or {', '.join(SOURCE)}")
        for key in each:
            if key not in SOURCE:
                raise UserError(f"{where}.{key} is not known; {did_you_mean(str(key), SOURCE)}")
            if not isinstance(each[key], str):  # of a number, YAML drops the zeros at its end
                raise UserError(
                    f"{where}.{key} is {each[key]!r}, but must be a text; put it in quotes, as "
                    'arxiv: "2006.07730"'
                )
        found.append({key: each.get(key, "") for key in SOURCE})
    return found
