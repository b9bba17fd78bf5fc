"""What must hold of all settings of a run, once they are composed."""

from collections.abc import Mapping
from inspect import Parameter, signature
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from unlabel.errors import UserError, did_you_mean
from unlabel.params import defaults, start
from unlabel.params.settings import check, nearest_target, target, types
from unlabel.params.written import check_names

SECTIONS = (
    *("dataset", "encoder", "method", "optimizer", "training", "monitor", "hardware"),
    "features",
)
UNSEEN = "placement"  # the section that no stage reads
GROUPS = ("dataset", "encoder", "method", "finetune")  # sections that are recipes
ALONE = ("hardware", "training", "monitor", "features", "finetune", "transfer", UNSEEN)


def check_sections(resolved: Mapping[Any, Any], where: str) -> None:
    """Raise `UserError` if a section is unknown, is not there, or holds no settings."""
    known = {*defaults.SECTIONS, *GROUPS, "probe", "measure", "about", "start"}
    for key in resolved:
        if key not in known:
            raise UserError(
                f"{key} is not a section of the settings of {where}; "
                f"{did_you_mean(str(key), known)}"
            )
    for key in (*defaults.SECTIONS, *GROUPS):
        if key not in resolved:
            raise UserError(f"the settings of {where} lack the section {key}; restore its recipe")
    for key in ("probe", "measure"):
        if not isinstance(probes := resolved.get(key, {}), Mapping):
            raise UserError(
                f"in the settings of {where}: {key} is {probes!r}, but must be settings of probes, "
                f"as {key}.NAME.SETTING=VALUE"
            )
    about = resolved.get("about")
    if isinstance(about, Mapping) and not isinstance(number := about.get("arxiv", ""), str | None):
        raise UserError(
            f"in the settings of {where}: about.arxiv is {number!r}, but must be a text; put it in "
            'quotes, as arxiv: "2006.07730"'
        )
    check_names(resolved, f"the settings of {where}")


def check_values(params: Path, resolved: Mapping[Any, Any], where: str) -> None:
    """Raise `UserError` if a value does not suit what it is a setting of."""
    plain = defaults.of_run(params)
    try:
        for section in (*SECTIONS, UNSEEN):
            if isinstance(resolved[section], str):  # optimizer=adam
                default = (plain.get(section) or {}).get("_target_", "")
                raise UserError(
                    f"{section} is {resolved[section]!r}, but must be settings; choose another "
                    f"with {section}._target_, as in {section}._target_={default}"
                    + (f"; {nearest_target(default, resolved[section])}" if default else "")
                )
            check(resolved[section], section)
        for each in start.naming(resolved):
            check(each, "encoder")
        for section in (*SECTIONS, UNSEEN):
            _check_null(resolved[section], section)
        for section in ALONE:
            _check_whole(resolved[section], section)
        training = resolved["training"]
        if training.get("warmup", 0) >= training["epochs"]:
            raise UserError(
                f"training.warmup is {training['warmup']}, but there are only "
                f"{training['epochs']} epochs: the learning rate would never fall; set "
                "training.warmup lower"
            )
        for section in ("probe", "measure"):
            for name, probe in resolved.get(section, {}).items():
                check(probe, f"{section}.{name}")
        for name in resolved["transfer"]["probes"]:
            if name not in resolved["probe"]:
                raise UserError(
                    f"transfer.probes names {name!r}; {did_you_mean(str(name), resolved['probe'])}"
                )
    except UserError as error:
        raise UserError(f"in the settings of {where}: {error}") from error


def _check_null(settings: Mapping[str, Any], where: str) -> None:
    """Raise `UserError` for null instead of settings, as for a method's augmentation."""
    hints = types(target(settings, where)) if "_target_" in settings else {}
    for key, value in settings.items():
        hint = hints.get(key, Any)
        if isinstance(value, Mapping):
            _check_null(value, f"{where}.{key}")
        elif value is None and hint is not Any and NoneType not in get_args(hint):
            raise UserError(f"{where}.{key} is null, but must be settings")


def _check_whole(settings: Mapping[str, Any], section: str) -> None:
    """Raise `UserError` if settings are wrong, or lack what their target needs of them."""
    check(settings, section)
    for name, parameter in signature(target(settings, section)).parameters.items():
        if parameter.default is Parameter.empty and name not in settings:
            raise UserError(
                f"{section} lacks {name!r}, which {settings['_target_']} needs; write it in the "
                "budget or in config.yaml"
            )
