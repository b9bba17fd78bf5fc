"""The settings of one run, composed by Hydra from the recipes in `params/` and checked."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unlabel.errors import UserError, did_you_mean
from unlabel.params import defaults, plain_recipes, start
from unlabel.params.composed import SECTIONS, UNSEEN, check_sections, check_values
from unlabel.params.written import load

# Overrides are part of a path, so only characters that no shell or file system changes.
OVERRIDE = re.compile(r"[A-Za-z_][\w./@]*=[\w.\-\[\],]*")
BETWEEN = "+"  # in a path, for each comma, at which Snakemake parts wildcards (its issue 2366)
# ValueError: for `encoder=null` or `encoder=1`, which Hydra takes for no name
BROKEN = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError)


def names(params: Path, group: str) -> list[str]:
    """The names of a group's recipes. Hidden files are none: editors and systems leave them."""
    return sorted(path.stem for path in (params / group).glob("[!.]*.yaml"))


def choose(params: Path, group: str, name: str) -> str:
    """`name`, if the group has it. Raises `UserError` with the nearest right name otherwise."""
    known = names(params, group)
    if name not in known:
        raise UserError(f"unknown {group} {name!r}: {did_you_mean(str(name), known)}")
    return name


def probes(params: Path) -> list[str]:
    """The probes of every run, which one job measures. Fine-tuning is a stage of its own.

    Raises `UserError` for an unknown one.
    """
    listed = defaults.of_run(params)["probes"]
    if not isinstance(listed, list):
        raise UserError(f"{params}/config.yaml has no list `probes`; name the probes of every run")
    return sorted(choose(params, "probe", str(name)) for name in listed)


def own_probes(params: Path) -> list[str]:
    """The other probes. Each is a job of its own, on request."""
    return sorted({*names(params, "probe")} - {*probes(params), "finetune"})


def measured(params: Path, own: Sequence[str]) -> list[str]:
    """All probes of a study that asks for the probes `own`, fine-tuning among them."""
    return sorted([*probes(params), "finetune", *own])


def owner(metric: str, own: Sequence[str]) -> str:
    """The probe of `own` that measures a metric, whose name begins with the probe's; or empty."""
    name = metric.removeprefix("validation_")
    return next((each for each in own if name.startswith(f"{each}_")), "")


def split(variant: str) -> list[str]:
    """`a=1+b=[2+3]` -> `a=1`, `b=[2,3]`; `base` -> nothing. Raises `UserError` otherwise."""
    if "," in variant:
        whole = variant.replace(",", BETWEEN)
        raise UserError(f"write the variant {variant!r} with {BETWEEN} for each comma: {whole}")
    parts = [] if variant == "base" else re.split(r"\+(?![^\[]*\])", variant)
    overrides = [part.replace(BETWEEN, ",") for part in parts]
    for override in overrides:
        if not OVERRIDE.fullmatch(override):
            raise UserError(f"{override!r} is not an override like optimizer.lr=0.1")
    keys = [override.split("=")[0] for override in overrides]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise UserError(f"the variant {variant!r} sets {twice[0]} twice; leave out one of them")
    if parts != sorted(parts):
        ordered = BETWEEN.join(sorted(parts))
        raise UserError(f"write the variant {variant!r} in order: {ordered}")
    return overrides


def variant(overrides: Sequence[str]) -> str:
    """The variant that these overrides make; `split` reverses it."""
    return BETWEEN.join(sorted(each.replace(",", BETWEEN) for each in overrides)) or "base"


def own(params: Path) -> list[str]:
    """The datasets of the user's own images: those with a path."""
    return [name for name in names(params, "dataset") if paths(recipe(params, name))]


def paths(recipe: Mapping[str, Any]) -> list[str | None]:
    """The `path` of a dataset or of the dataset inside it: none or one, null if not set."""
    inner = [value for value in recipe.values() if isinstance(value, Mapping)]
    return (
        [recipe["path"]] if "path" in recipe else [path for each in inner for path in paths(each)]
    )


def recipe(params: Path, name: str, **changes: Any) -> dict[str, Any]:
    """The settings of a dataset, with changes. Raises `UserError` for an unknown name."""
    return load(params / "dataset" / f"{choose(params, 'dataset', name)}.yaml") | changes


def settings(params: Path, budget: str, dataset: str, method: str, variant: str) -> dict[str, Any]:
    """All settings of a run, resolved; the seed is the default one.

    Raises `UserError` for a wrong type, and for an unknown name or key, with the nearest right one.
    """
    for group, name in (("budget", budget), ("dataset", dataset), ("method", method)):
        choose(params, group, name)
    chosen = [f"budget={budget}", f"dataset={dataset}", f"method={method}"]
    overrides = split(variant)
    where = f"{method} on {dataset} at budget {budget}"
    for override in overrides:
        key = override.split("=")[0]
        if key.split(".")[0] == "hydra":  # which takes settings of its own and ignores them here
            _check_key(override, {*SECTIONS, "finetune", "probe", "measure", "transfer"}, where)
        if key == "probes":
            raise UserError(f"{override!r} cannot be a variant: ask for probes with --config")
        if key.split(".")[0] == UNSEEN:
            raise UserError(
                f"{override!r} cannot be a variant, as no result depends on it; "
                f"set it in {params / 'budget' / budget}.yaml"
            )
        if key.split(".")[0] == "about":
            raise UserError(
                f"{override!r} cannot be a variant, as no result depends on it; "
                f"set it in {params / 'method' / method}.yaml"
            )
        if key in ("seed", "budget", "method") or key.split(".")[0] == "dataset":
            raise UserError(
                f"{override!r} cannot be a variant: a run's path says its {key} already"
            )
    resolved = _sections(params, chosen, overrides, where)
    check_sections(resolved, where)
    _separate(resolved, where)
    check_values(params, resolved, where)
    return {str(key): value for key, value in resolved.items()}


def _separate(resolved: dict[Any, Any], where: str) -> None:
    """Move what is about weights out of the settings of networks, into sections of their own."""
    try:
        if isinstance(resolved["encoder"], Mapping):
            resolved["encoder"], found = start.separate(resolved["encoder"])
            resolved |= {"start": found} if found else {}
        method = resolved["method"]
        if isinstance(method, dict) and isinstance(method.get("teacher"), Mapping):
            network, found = start.separate(method["teacher"], "method.teacher")
            method["teacher"] = {"encoder": network, "start": found or None}
    except UserError as error:
        raise UserError(f"in the settings of {where}: {error}") from error


def _sections(
    params: Path, chosen: Sequence[str], overrides: Sequence[str], where: str
) -> dict[Any, Any]:
    names = {"probe": probes(params), "measure": own_probes(params)}
    if plain := plain_recipes.sections(params, names, overrides):
        with suppress(UserError):  # which is said below, of all settings
            resolved = _resolved(params, chosen, overrides, where)
            if resolved.keys().isdisjoint(plain):
                return resolved | plain
    words = [f"+probe@{part}.{probe}={probe}" for part, each in names.items() for probe in each]
    return _resolved(params, [*chosen, *words], overrides, where)


def _resolved(
    params: Path, chosen: Sequence[str], overrides: Sequence[str], where: str
) -> dict[Any, Any]:
    config = _hydra(params, chosen, overrides, where)
    try:
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(f"the settings of {where} do not resolve: {_line(error)}") from error
    assert isinstance(resolved, dict)
    return resolved


def _hydra(params: Path, chosen: Sequence[str], overrides: Sequence[str], where: str) -> DictConfig:
    with initialize_config_dir(str(params.resolve()), version_base=None):
        try:
            return compose("run", [*chosen, *overrides])
        except UnicodeDecodeError as error:
            for path in sorted(params.rglob("[!.]*.yaml")):
                load(path)  # raises for the one that is not UTF-8
            raise UserError(f"a recipe of {where} is not UTF-8 ({error}); mend it") from error
        except BROKEN as error:
            with suppress(*BROKEN):  # a recipe and no override is wrong, as said below
                known = set(_keys(compose("run", [*chosen])))
                for override in overrides:
                    _check_override(params, override, known, where)
            raise UserError(f"the recipes of {where} cannot be composed: {_line(error)}") from error


def _check_override(params: Path, override: str, known: Collection[str], where: str) -> None:
    """Raise `UserError` if a setting is not `known`, or a group has no such recipe."""
    key, _, value = override.partition("=")
    group = key.split("@")[0]
    if (params / group).is_dir():
        choose(params, group, value)
    _check_key(override, known, where)


def _check_key(override: str, known: Collection[str], where: str) -> None:
    """Raise `UserError` if what an override sets is not `known`."""
    key = override.split("=")[0].split("@")[-1]  # as in encoder@method.teacher=resnet18
    if key not in known:
        raise UserError(
            f"{override!r} overrides {key}, but {where} has no such setting; "
            f"{did_you_mean(key, known)}"
        )


def _keys(config: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(config, Mapping | DictConfig):
        for key in config:
            yield f"{prefix}{key}"
            value = None if OmegaConf.is_missing(config, key) else config[key]
            yield from _keys(value, f"{prefix}{key}.")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
