"""How metrics are called and written on pages: by what was declared of them before training."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from unlabel.metric import Metric, find
from unlabel.units import decimals, number

NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class Measure(Metric):
    """A metric, and how its values are written."""

    @property
    def suffix(self) -> str:
        """What follows a number in a sentence."""
        unit = "%" if self.share else self.unit
        return f" {unit}" if unit else ""

    @property
    def heading(self) -> str:
        """The title with the unit, for an axis or a table."""
        return f"{self.title} ({self.suffix.strip()})" if self.suffix else self.title

    @property
    def sign(self) -> int:
        """1 where higher values rank first, -1 where lower ones do."""
        return -1 if self.better == "lower" else 1

    def scaled(self, value: float) -> float:
        """The value in the unit it is shown in."""
        return 100 * value if self.share else value

    def write(self, value: float) -> str:
        """The value as text, without the unit."""
        return number(self.scaled(value), 1 if self.share else None)

    def write_interval(self, interval: float, mean: float) -> str:
        """Half an interval's width, with as many decimals as its mean has."""
        places = 1 if self.share else decimals(mean)
        return number(self.scaled(interval), places)


@dataclass(frozen=True)
class Metrics:
    """The metrics that the runs of a study declare."""

    declared: tuple[Metric, ...] = ()

    @classmethod
    def of(cls, content: Iterable[Mapping[str, Any]]) -> "Metrics":
        """What `frozen` made of them."""
        return cls(tuple(Metric(**each) for each in content))

    @staticmethod
    def frozen(metrics: Iterable[Metric]) -> list[dict[str, Any]]:
        """Metrics as plain data, without what is as by default."""
        default = {field.name: field.default for field in fields(Metric)}
        return [
            {key: value for key, value in asdict(each).items() if value != default[key]}
            for each in metrics
        ]

    def describe(self, name: str) -> Measure:
        """A study's metric: `log.NAME` is the last row of the log, `run.NAME` is in run.json."""
        found = self._found(name)
        if not name.startswith("log."):
            return found
        return replace(found, title=f"{found.title} at the end of training")

    def column(self, name: str) -> Measure:
        """A column of the log."""
        return replace(self._found(f"log.{name}"), name=name)

    def _found(self, name: str) -> Measure:
        """By its name alone, where a run has more than was planned."""
        title = name.removeprefix("log.").removeprefix("run.").replace("_", " ")
        return Measure(**asdict(find(name, self.declared) or Metric(name, title)))


def capital(text: str) -> str:
    """To begin a heading with. A first word with a capital of its own, as kNN, stays as it is."""
    return text if any(map(str.isupper, text.split()[0])) else f"{text[0].upper()}{text[1:]}"


def natural(name: str) -> list[tuple[float, str]]:
    """A key to sort by: lowshot_1 comes before lowshot_10, and both before lowshot_1_std."""
    parts = [(float(p), "") if NUMBER.fullmatch(p) else (0.0, p) for p in name.split("_")]
    return [(float(sum(word != "" for _, word in parts)), ""), *parts]
