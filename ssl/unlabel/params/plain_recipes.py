"""Recipes of probes that are the same whatever Hydra composes, which takes half of its time."""

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

COMPOSED = re.compile(r"\$\{|\?\?\?|@package|^defaults:", re.MULTILINE)  # by Hydra


def sections(
    params: Path, names: Mapping[str, Sequence[str]], overrides: Sequence[str]
) -> dict[str, dict[str, Any]] | None:
    """The recipes of each section's probes; None if Hydra has to compose some of them."""
    if any(re.split(r"\W", override)[0] in names for override in overrides):
        return None
    found: dict[str, dict[str, Any]] = {}
    for section, probes in names.items():
        for name in probes:
            if (recipe := _read((params / "probe" / f"{name}.yaml").read_bytes())) is None:
                return None
            found.setdefault(section, {})[name] = deepcopy(recipe)
    return found


@cache
def _read(content: bytes) -> dict[str, Any] | None:
    try:
        if COMPOSED.search(text := content.decode()):
            return None
        recipe = OmegaConf.to_container(OmegaConf.create(text))
    except (UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException):
        return None  # Hydra says what is wrong
    return {str(key): value for key, value in recipe.items()} if isinstance(recipe, dict) else None
