"""YAML files as people write them: a key that is there twice is a mistake."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from unlabel.errors import UserError

# libyaml's loader is ten times faster, where PyYAML was built with it
FASTEST: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictSafeLoader(FASTEST):  # type: ignore[valid-type, misc]
    """Refuses what the last of two equal keys would hide."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping. Raises `UserError` for a key that is there twice, as a number or a text."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                raise UserError(
                    f"the key {name!r} is there twice, in lines {lines[name]} and {line}"
                )
            lines[name] = line
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found


def load(path: Path) -> dict[str, Any]:
    """Read a recipe or a study.

    Raises `UserError` if the file is missing, is no YAML mapping, or has a key twice.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _StrictSafeLoader)
    except OSError as error:
        raise UserError(f"cannot read the settings {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{path} is not valid YAML ({problem}); mend or restore it") from error
    except UserError as error:
        raise UserError(f"{path}: {error}; leave one of them out") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no settings: a YAML mapping was expected")
    check_names(content, str(path))
    return content


def check_names(settings: Any, where: str) -> None:
    """Raise `UserError` for a key that is no text, in settings or in a `_target_`'s inside them."""
    for key in settings:
        if not isinstance(key, str):
            raise UserError(f"{where} has the key {key!r}, but settings have names; correct it")
    for key, value in settings.items():
        if isinstance(value, dict) and "_target_" in value:
            check_names(value, f"{where}: {key}")
