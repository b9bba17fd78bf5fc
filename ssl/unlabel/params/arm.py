"""An arm of a study: some methods with some settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unlabel.errors import UserError, did_you_mean
from unlabel.params import compose
from unlabel.params.claim import Term
from unlabel.run import BASE


@dataclass(frozen=True)
class Arm:
    """Methods, and the overrides that all of them run with."""

    label: str
    methods: tuple[str, ...]
    overrides: tuple[str, ...]
    plain: bool  # it has no overrides but the study's own

    @property
    def variant(self) -> str:
        """The variant in the path of its runs."""
        return compose.variant(self.overrides)

    @classmethod
    def of(cls, label: str, content: Any, crossed: Sequence[str], settings: Sequence[str]) -> "Arm":
        """The arm that a study's file describes, as overrides or as methods and overrides.

        `crossed` are the methods of an arm that names none, `settings` the overrides of all arms.
        Raises `UserError` for a wrong one.
        """
        where = f"arms.{label}"
        methods, overrides = list(crossed), content
        if isinstance(content, Mapping):
            known = ("methods", "overrides")
            for key in content:
                if key not in known:
                    raise UserError(f"{where}.{key} is not known; {did_you_mean(str(key), known)}")
            methods, overrides = content.get("methods", methods), content.get("overrides", [])
        for value, what in ((methods, "methods"), (overrides, "overrides")):
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                raise UserError(
                    f"{where} has the {what} {value!r}, but they must be a list of texts"
                )
        check_once(methods, f"{where}.methods")
        check_once([key_of(each) for each in overrides], where)
        if "]" in label or "[" in label:
            raise UserError(f"{where} has a bracket in its label, which claims could not name")
        if any(override.startswith("encoder=") for override in overrides):
            settings = [override for override in settings if not override.startswith("encoder")]
        # An arm's override replaces the study's override of the same key.
        keys = {key_of(override): override for override in [*settings, *overrides]}
        return cls(label, tuple(methods), tuple(keys.values()), plain=not overrides)


def key_of(override: str) -> str:
    """What an override sets."""
    return override.partition("=")[0]


def check_once(names: Sequence[Any], where: str) -> None:
    """Raise `UserError` for a name that is there twice, of which one would hide the other."""
    for number, name in enumerate(names):
        if name in names[:number]:
            raise UserError(f"{where} has {name!r} twice; leave one of them out")


def resolved(term: Term, groups: Sequence[Arm], metric: str, where: str) -> Term:
    """The term with its arm and its metric filled in.

    Raises `UserError` for a method or an arm that the study does not run.
    """
    known = list(dict.fromkeys(method for arm in groups for method in arm.methods))
    if term.method not in known:
        raise UserError(
            f"{where} is about {term.method!r}, which the study does not run; "
            f"{did_you_mean(term.method, known)}"
        )
    arms = [arm for arm in groups if term.method in arm.methods]
    labels = [arm.label for arm in arms]
    if not (label := term.arm or _implied(arms)):
        raise UserError(
            f"{where} does not say which arm of {term.method} it means; "
            f"write {term.method}[{labels[0]}]"
        )
    if label not in labels:
        raise UserError(
            f"{where}: {term.method} has no arm {label!r}; {did_you_mean(label, labels)}"
        )
    return Term(term.method, label, term.metric or metric)


def _implied(arms: Sequence[Arm]) -> str | None:
    """The arm of a term that names none: `base`, else the first plain one, else the only one."""
    labels = [arm.label for arm in arms]
    plain = [arm.label for arm in arms if arm.plain]
    only = labels if len(labels) == 1 else []
    return BASE if BASE in labels else next(iter(plain or only), None)
