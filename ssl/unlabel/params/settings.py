"""Builds objects from settings: a `_target_` names the class, and errors explain wrong keys.

It only builds optimizers and classes that this package defines. So settings from elsewhere, such as
those in an encoder's file, cannot run other code, not even what a module imports.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from inspect import Parameter, signature
from math import isfinite
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from unlabel.errors import UserError, did_you_mean

Settings = Mapping[str, Any]
VAR_KEYWORD = Parameter.VAR_KEYWORD
FUNCTIONS = "unlabel.training.optimizer"  # the module whose functions are built like classes


def load(path: Path) -> dict[str, Any]:
    """Read resolved settings. Raises `UserError` if the file is missing or no YAML mapping."""
    try:
        # libyaml's loader is ten times faster, where PyYAML was built with it
        settings = yaml.load(
            path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
    except OSError as error:
        raise UserError(f"cannot read the settings {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise UserError(f"{path} is not valid YAML ({problem}); mend or restore it") from error
    if not isinstance(settings, dict):
        raise UserError(f"{path} holds no settings: a YAML mapping was expected")
    return settings


def build(settings: Settings, where: str = "settings", **given: Any) -> Any:
    """Call `settings["_target_"]` with the other settings, and with `given`.

    Inner settings with a `_target_` of their own are built first. `where` is the path of `settings`
    in messages. Raises `UserError` for an unknown target or key, or a wrong type.
    """
    check(settings, where)
    call = target(settings, where)
    for name, parameter in signature(call).parameters.items():
        needed = parameter.default is Parameter.empty and parameter.kind is not VAR_KEYWORD
        if needed and name not in settings and name not in given:
            raise UserError(f"{where} lacks {name!r}, which {settings['_target_']} needs")
    arguments = {key: _built(value, f"{where}.{key}") for key, value in _arguments(settings)}
    return call(**given, **arguments)


def check(settings: Settings, where: str) -> None:
    """Raise `UserError` for a key, a type or a range that a target does not take."""
    call = target(settings, where)
    hints, parameters = types(call), signature(call).parameters
    rest = next((name for name, p in parameters.items() if p.kind is VAR_KEYWORD), "")
    for key, value in _arguments(settings):
        name = f"{where}.{key}"
        hint = hints.get(key if key in parameters else rest, Any)
        if key not in parameters and not rest:
            raise UserError(
                f"{name} is not a setting of {settings['_target_']}; "
                f"{did_you_mean(key, parameters)}"
            )
        if isinstance(value, Mapping) and "_target_" in value:
            check(value, name)
        elif not _fits(value, hint):
            raise UserError(f"{name} is {value!r}, but must be {_describe(hint)}")
        elif isinstance(value, Mapping):  # built by what it is given to
            for inner, each in value.items():
                if isinstance(each, Mapping) and "_target_" in each:
                    check(each, f"{name}.{inner}")


@cache
def types(call: Any) -> dict[str, Any]:
    """The types of a target's parameters, with their ranges."""
    maker = call.__init__ if isinstance(call, type) else call  # type: ignore[misc]
    return get_type_hints(maker, include_extras=True)


def target(settings: Settings, where: str) -> Any:
    """The class or function that `_target_` names. Raises `UserError` if it may not be built."""
    if not isinstance(settings, Mapping):
        raise UserError(f"{where} is {settings!r}, but must be settings with a `_target_`")
    path = settings.get("_target_")
    if not isinstance(path, str) or not path.startswith("unlabel."):
        raise UserError(f"{where}._target_ is {path!r}, but must name something in unlabel")
    module, _, name = path.rpartition(".")
    try:
        found = import_module(module)
        if not hasattr(found, name):
            raise AttributeError(did_you_mean(name, _targets(found)))
        call = getattr(found, name)
        signature(call)
        if name.startswith("_") or not _offers(found, call):
            raise AttributeError(f"{module} defines no {name}")
        if not isinstance(call, type) and module != FUNCTIONS:
            raise TypeError(f"{name} is no class")
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"{where}._target_ names {path}, which does not exist or cannot be made: {error}"
        ) from error
    return call


def nearest_target(path: str, name: str) -> str:
    """What to say instead of `name`: what the module of the target `path` defines."""
    return did_you_mean(name, _targets(import_module(path.rpartition(".")[0])))


def _targets(module: Any) -> list[str]:
    """What a module defines for others to use."""
    return [
        name
        for name, value in vars(module).items()
        if callable(value) and _offers(module, value) and not name.startswith("_")
    ]


def _offers(module: Any, value: Any) -> bool:
    """Is it defined in this module, or in one of this package?"""
    where = value.__module__
    return where == module.__name__ or where.startswith(f"{module.__name__}.")


def arguments(settings: Settings, call: Any) -> dict[str, Any]:
    """All arguments of a target: its defaults, and the settings, inner ones built."""
    parameters = signature(call).parameters.items()
    defaults = {
        name: each.default for name, each in parameters if each.default is not Parameter.empty
    }
    return defaults | {key: _built(value, key) for key, value in _arguments(settings)}


def _arguments(settings: Settings) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in settings.items() if key != "_target_"]


def _built(value: Any, where: str) -> Any:
    if isinstance(value, Mapping) and "_target_" in value:
        return build(value, where)
    return value


def _fits(value: Any, hint: Any) -> bool:
    """Is a value from YAML of the type `hint`? Types that YAML cannot write always fit."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _fits(value, arguments[0]) and value in arguments[1]
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return value in arguments
    if hint in (bool, NoneType, str):
        return isinstance(value, hint)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if origin in (list, tuple, Sequence):
        if not isinstance(value, list):
            return False
        fixed = origin is tuple and Ellipsis not in arguments
        if fixed:
            return len(value) == len(arguments) and all(map(_fits, value, arguments))
        numbers = get_origin(arguments[0]) is Annotated  # of none nothing could be chosen
        return bool(value or not numbers) and all(_fits(each, arguments[0]) for each in value)
    return not isinstance(value, str | int | float) or hint is Any


def _describe(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(repr, get_args(hint)))}"
    if get_origin(hint) is Annotated:
        kind, range = get_args(hint)
        return f"{_describe(kind)} {range}"
    if get_origin(hint) in (Union, UnionType):
        return " or ".join("null" if h is NoneType else _describe(h) for h in get_args(hint))
    if get_origin(hint) in (list, tuple, Sequence):
        inner = get_args(hint)
        fixed = get_origin(hint) is tuple and Ellipsis not in inner
        many = f" of {len(inner)}" if fixed else ""
        many = many or " of one or more" * (get_origin(inner[0]) is Annotated)
        return f"a list{many}, each {_describe(inner[0])}"
    return names.get(hint, f"settings with a `_target_` that makes a {hint}")


def first_difference(there: Any, here: Any, name: str = "") -> str:
    """The first difference between two nested settings, in words; empty if there is none."""
    for where, before, now in differences(there, here, name):
        return f"{where} is {before!r} there and {now!r} here"
    return ""


def differences(there: Any, here: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The names and both values of all that differs between two nested settings."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            where = f"{name}.{key}" if name else key
            yield from differences(there.get(key), here.get(key), where)
    elif there != here:
        yield name, there, here
