"""What a stage before the report has written as JSON."""

import json
from pathlib import Path
from typing import Any

from unlabel.errors import UserError


def read(path: Path, first: str) -> dict[str, Any]:
    """The JSON object of a file; `first` is what to do where there is no such file.

    Raises `UserError` if it is missing, damaged or no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; {first} first") from error
    except ValueError as error:
        raise UserError(
            f"{path} is not valid JSON ({error}); delete it and make it again"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object; delete it and make it again")
    return content
