"""The dataset and the encoder that the command line chooses instead of the study's own."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from unlabel.errors import UserError, did_you_mean
from unlabel.params import compose, defaults, start
from unlabel.params.written import load

NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class ChosenDataset:
    """A dataset's name, the changes to its recipe, and the recipe's name if it is another.

    Also the overrides that choose an encoder.
    """

    dataset: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    recipe: str = ""
    encoder: tuple[str, ...] = ()

    def of(self, dataset: str) -> Mapping[str, Any]:
        """The changes to the recipe of `dataset`."""
        return self.changes if dataset == self.dataset else {}


def asked(config: Mapping[str, Any], params: Path, typed: Sequence[str] = ()) -> ChosenDataset:
    """The dataset and the encoder of `--config`, and the other settings of their recipes there.

    `typed` is the command line, since Snakemake reads `path=photos #1` as YAML and drops the
    comment. Raises `UserError` for a setting that neither params/workflow.yaml nor a recipe has.
    """
    known = {*defaults.of_workflow(params), *defaults.KEYS}
    name, own = names(config).get("dataset", ""), names(config).get("name", "")
    recipe = compose.recipe(params, name) if name else {}
    recipe.pop("_target_", None)
    if own and own != name:
        _check_name(own, recipe, params)
    network = _network(config, params)
    changes = {key: value for key, value in config.items() if key not in known}
    for key in changes:
        if key not in recipe and key not in network:
            where = f"neither the workflow's nor {name}'s" if name else "not the workflow's"
            raise UserError(
                f"--config {key}=... is {where}; {did_you_mean(key, {*known, *recipe, *network})}"
                + ("" if name else ". The settings of a dataset need its name, dataset=NAME")
            )
    encoder = _overrides(config, {k: v for k, v in changes.items() if k not in recipe})
    changes = {key: value for key, value in changes.items() if key in recipe}
    words = [word.removeprefix("--config=") for word in typed]
    _check_once([word.split("=", 1)[0] for word in words if "=" in word], changes)
    texts = dict(word.split("=", 1) for word in words if "=" in word)
    values = {key: _value(texts.get(key, each), recipe[key]) for key, each in changes.items()}
    return ChosenDataset(own or name, values, name, encoder)


def _check_once(typed: Sequence[str], settings: Iterable[str]) -> None:
    """Raise `UserError` for a setting that is typed twice, of which Snakemake takes the last."""
    for key in settings:
        if (times := typed.count(key)) > 1:
            raise UserError(
                f"--config {key}=... is there {times} times; write it once, and put a value with "
                "braces, {...}, into quotes, or the shell makes several of it"
            )


def _network(config: Mapping[str, Any], params: Path) -> list[str]:
    """The settings of the encoder that is asked for; none if none is."""
    if not (name := config.get("encoder")):
        return []
    own = load(params / "encoder" / f"{compose.choose(params, 'encoder', str(name))}.yaml")
    return [*(key for key in own if key != "_target_"), *start.KEYS]


def _overrides(config: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[str, ...]:
    """What choosing an encoder adds to the variant of each run.

    Raises `UserError` for a value that cannot be part of a path.
    """
    found = [f"encoder={config['encoder']}"] if config.get("encoder") else []
    for key, value in settings.items():
        text = str(value).replace(" ", "").replace("'", "")
        if not compose.OVERRIDE.fullmatch(f"encoder.{key}={text}"):
            put = f"; put the file, or a link to it, into {start.FOLDER}, and write its name"
            raise UserError(
                f"--config {key}={value} is part of the path of each run, so it must be of "
                "letters, digits and '_.-[],'"
                + (put if key == "weights" else "")
                + ", or write a recipe with it, params/encoder/mine.yaml, and encoder=mine"
            )
        found.append(f"encoder.{key}={text}")
    return tuple(sorted(found))


def probes(config: Mapping[str, Any]) -> list[str]:
    """The probes of `--config probes=NAME,NAME`, of a list of names, or of `all`.

    Raises `UserError` if they are none of these.
    """
    asked = config.get("probes") or []
    asked = asked.split(",") if isinstance(asked, str) else asked
    if not isinstance(asked, list) or not all(isinstance(each, str) for each in asked):
        raise UserError(f"--config probes={asked} is no name and no list of names of params/probe")
    return [name for each in asked if (name := each.strip())]


def names(config: Mapping[str, Any]) -> dict[str, str]:
    """The names in `config` as texts: Snakemake makes a number of the study 2024."""
    return {
        key: str(config[key]) for key in ("study", "budget", "dataset", "name") if config.get(key)
    }


def named(config: Mapping[str, Any], key: str) -> str:
    """The name in `config` that the workflow cannot do without. Raises `UserError` if it is empty.

    The file has one, so that is the command line's doing.
    """
    if not (name := names(config).get(key)):
        raise UserError(f"--config {key}= names nothing; leave it out, or name one of params/{key}")
    return name


def _check_name(own: str, recipe: Mapping[str, Any], params: Path) -> None:
    """Raise `UserError` unless `own` can be the name of a set of the user's own images."""
    if "path" not in recipe:
        raise UserError(
            f"--config name={own} is for images of your own; it needs a dataset with a path, such "
            "as dataset=folder path=photos"
        )
    if own in compose.names(params, "dataset"):
        raise UserError(
            f"--config name={own}: params/dataset/{own}.yaml is a dataset already; choose another "
            f"name, or dataset={own}"
        )
    if not NAME.fullmatch(own):
        raise UserError(
            f"--config name={own} is part of paths, so it must be of letters, digits, '_', '.' "
            "and '-', and start with a letter or a digit"
        )


def _value(value: Any, default: Any) -> Any:
    """A typed value, read like `default`, the recipe's own value.

    If that is a text or null, as for columns and paths, the value stays as it was typed: a column
    may be called 0, and a folder 2024. All else is YAML; Snakemake leaves some of it as text.
    """
    if value is None or value == "null":
        return None
    if default is None or (isinstance(default, str) and default != "auto"):
        return str(value)
    return _yaml(value)


def _yaml(value: Any) -> Any:
    """A text, or a list of texts, as YAML reads it."""
    if isinstance(value, list):
        return [_yaml(each) for each in value]
    return _scalar(value) if isinstance(value, str) else value


def _scalar(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
