"""What a study claims about its runs, written with their metrics: `simclr[1024] - simclr[64]`.

A term is `METHOD[ARM].METRIC`. An expression is terms and numbers joined by + and -.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from unlabel.errors import UserError, did_you_mean

TERM = re.compile(r"([A-Za-z_]\w*)(?:\[([^\[\]]+)\])?(?:\.([A-Za-z_][\w.]*))?")
NUMBER = re.compile(r"\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+")
KINDS = {"higher": ("than", "by"), "same": ("as", "within")}  # the other side, and the bound


@dataclass(frozen=True)
class Term:
    """A metric of a method in an arm; None stands for the study's default."""

    method: str
    arm: str | None = None
    metric: str | None = None

    def __str__(self) -> str:
        arm = f"[{self.arm}]" if self.arm is not None else ""
        return f"{self.method}{arm}" + (f".{self.metric}" if self.metric else "")


@dataclass(frozen=True)
class Expression:
    """A sum: the terms and numbers, each with its sign."""

    parts: tuple[tuple[int, Term | float], ...]

    def __str__(self) -> str:
        written = [
            f"{'-' if sign < 0 else '+'} {part:g}" if isinstance(part, float) else
            f"{'-' if sign < 0 else '+'} {part}"
            for sign, part in self.parts
        ]  # fmt: skip
        return " ".join(written).removeprefix("+ ")

    @property
    def terms(self) -> list[Term]:
        """All terms, in their order."""
        return [part for _, part in self.parts if isinstance(part, Term)]

    def value(self, of: Callable[[Term], float]) -> float:
        """The sum, where `of` gives the value of a term."""
        return sum(
            sign * (part if isinstance(part, float) else of(part)) for sign, part in self.parts
        )

    def map(self, change: Callable[[Term], Term]) -> "Expression":
        """The same sum with each term changed."""
        return Expression(
            tuple((s, change(part) if isinstance(part, Term) else part) for s, part in self.parts)
        )

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Expression":
        """What `dataclasses.asdict` made of one."""
        return cls(
            tuple(
                (int(sign), Term(**part) if isinstance(part, Mapping) else float(part))
                for sign, part in content["parts"]
            )
        )


@dataclass(frozen=True)
class Claim:
    """`left` is higher than `right` by more than `bound`, or the same within it."""

    says: str
    kind: str  # "higher" or "same"
    left: Expression
    right: Expression
    bound: float
    metric: str  # of the terms that name none
    margin: float | None = None  # a difference inside it counts as none; None for the study's

    @property
    def terms(self) -> list[Term]:
        """All terms of both sides."""
        return self.left.terms + self.right.terms

    @property
    def metrics(self) -> list[str]:
        """The metrics in the claim, each once, in order of appearance."""
        return list(dict.fromkeys(term.metric or self.metric for term in self.terms))

    def difference(self, of: Callable[[Term], float]) -> float:
        """Left minus right, where `of` gives the value of a term."""
        return self.left.value(of) - self.right.value(of)

    def map(self, change: Callable[[Term], Term]) -> "Claim":
        """The same claim with each term changed."""
        return replace(self, left=self.left.map(change), right=self.right.map(change))

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Claim":
        """What `dataclasses.asdict` made of one, as a frozen study holds it."""
        sides = {side: Expression.of(content[side]) for side in ("left", "right")}
        return cls(**{**content, **sides})

    def written(self) -> dict[str, Any]:
        """The claim as people write it in a study's file."""
        other, bound = KINDS[self.kind]
        sides = {self.kind: str(self.left), other: str(self.right)}
        own = {} if self.margin is None else {"margin": self.margin}
        return {"says": self.says, **sides, bound: self.bound, "metric": self.metric, **own}

    def formula(self) -> str:
        """The claim in one line, for people."""
        if self.kind == "same":
            right = f"({self.right})" if len(self.right.parts) > 1 else str(self.right)
            return f"|{self.left} - {right}| < {self.bound:g}"
        sign = "-" if self.bound < 0 else "+"
        more = f" {sign} {abs(self.bound):g}" if self.bound else ""
        return f"{self.left} > {self.right}{more}"


def parse(content: Any, metric: str, where: str) -> Claim:
    """Read a claim from a study's file; `metric` is the study's.

    Raises `UserError` if it is wrong.
    """
    if not isinstance(content, Mapping):
        raise UserError(f"{where} is {content!r}, but must be a mapping with `says`")
    kinds = [kind for kind in KINDS if kind in content]
    if len(kinds) != 1:
        raise UserError(
            f"{where} must say either `higher` ... `than` or `same` ... `as` ... `within`"
        )
    kind = kinds[0]
    other, bound = KINDS[kind]
    own = ["margin"] if kind == "higher" else []  # `within` is the margin of `same`
    known = ["says", kind, other, bound, "metric", *own]
    for key in content:
        if key not in known:
            raise UserError(
                f"{where}.{key} is not part of a claim; {did_you_mean(str(key), known)}"
            )
    needed = ["says", other] + ([bound] if kind == "same" else [])
    for key in needed:
        if content.get(key) in (None, ""):
            raise UserError(f"{where} lacks {key!r}")
    size = _number(content.get(bound, 0.0), f"{where}.{bound}")
    if kind == "same" and size <= 0:
        raise UserError(f"{where}.within is {size!r}, but must be above 0: no two runs are equal")
    margin = content.get("margin")
    if margin is not None and _number(margin, f"{where}.margin") <= 0:
        raise UserError(f"{where}.margin is {margin!r}, but must be above 0")
    name = content.get("metric", metric)
    if not isinstance(name, str):
        raise UserError(f"{where}.metric is {name!r}, but must be a metric's name")
    if not isinstance(content["says"], str):
        raise UserError(f"{where}.says is {content['says']!r}, but must be a text")
    left, right = (_expression(content[side], f"{where}.{side}") for side in (kind, other))
    claim = Claim(content["says"], kind, left, right, size, name, margin)
    if not claim.terms:
        raise UserError(f"{where} compares two numbers; name a method, as in `simclr[base]`")
    return claim


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{where} is {value!r}, but must be a number")
    if not isfinite(value):
        raise UserError(f"{where} is {value!r}, but must be finite: no difference compares with it")
    return float(value)


def _expression(text: Any, where: str) -> Expression:
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise UserError(f"{where} is {text!r}, but must be terms joined by + and -")
    parts = tuple(_parts(str(text).strip(), where))
    if not parts:
        raise UserError(f"{where} is empty; write terms joined by + and -")
    return Expression(parts)


def _parts(text: str, where: str) -> Iterator[tuple[int, Term | float]]:
    at, first = 0, True
    while at < len(text):
        found = re.compile(r"\s*([+-])\s*" if not first else r"\s*([+-]?)\s*").match(text, at)
        what = found and (TERM.match(text, found.end()) or NUMBER.match(text, found.end()))
        if not found or not what:
            raise UserError(
                f"{where} cannot be read at {text[at:].strip()!r}; write terms such as "
                "`simclr[1024].linear`, joined by + and -"
            )
        sign = -1 if found[1] == "-" else 1
        yield sign, Term(*what.groups()) if what.re is TERM else _number(float(what[0]), where)
        at, first = what.end(), False
