"""Sections that several pages share."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from unlabel.analysis.arms import Comparison
from unlabel.analysis.frozen_study import FrozenStudy
from unlabel.analysis.metric import natural
from unlabel.analysis.run_results import Result
from unlabel.errors import UserError
from unlabel.report import leaderboard
from unlabel.report.leaderboard import Cell
from unlabel.run import BASE
from unlabel.units import duration, number

Measures = tuple[tuple[str, tuple[tuple[str, tuple[Cell, ...]], ...]], ...]


@dataclass(frozen=True)
class Picture:
    """An image as a `data:` URL, with its alternative text."""

    source: str
    description: str


@dataclass(frozen=True)
class Settings:
    """All settings of an arm's runs, as YAML text."""

    id: str
    name: str
    text: str


@dataclass(frozen=True)
class Part:
    """What every page shows of one comparison."""

    comparison: Comparison
    facts: tuple[tuple[str, str], ...]
    measures: Measures
    settings: tuple[Settings, ...]

    @property
    def seeds(self) -> str:
        """The number of seeds behind each mean, and whether there is an interval."""
        counts = sorted({len(arm.results) for arm in self.comparison.arms})
        if counts == [1]:
            return "one seed: no interval"
        many = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
        return f"{many} seeds ± 95 % interval"

    def settings_of(self, result: Result) -> str:
        """The HTML id of a run's settings."""
        return settings_id(result)


def picture(description: str, png: bytes) -> Picture:
    """The bytes of a PNG file as a picture."""
    return Picture(f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}", description)


def facts(comparison: Comparison, study: FrozenStudy) -> tuple[tuple[str, str], ...]:
    """How the numbers were made: (term, text). Values that differ between runs are listed."""
    results = list({each.planned.run: each for each in comparison.results}.values())

    def listed(name: str) -> str:
        return ", ".join(sorted({str(e.run_info[name]) for e in results if e.run_info.get(name)}))

    parameters = {int(e.run_info["parameters"]) for e in results if e.run_info.get("parameters")}
    counts = {int(e.run_info["images"]) for e in results if e.trained and e.run_info.get("images")}
    seeds = sorted({each.seed for each in results})
    spent = sum(float(e.run_info.get("seconds") or 0) for e in results)
    found = [
        ("Dataset", comparison.dataset),
        ("Trained on", ", ".join(f"{number(count, 0)} images" for count in sorted(counts))),
        (
            "Encoder",
            ", ".join(
                [comparison.encoder, *(f"{number(n, 0)} parameters" for n in sorted(parameters))]
            ),
        ),
        ("Budget", study.budget),
        ("Overrides in all runs", ", ".join(study.settings)),
        ("Seeds", ", ".join(map(str, seeds))),
        ("Runs", f"{len(results)} ({duration(spent)} of training in total)"),
        ("Device", listed("device")),
        ("Precision", listed("precision")),
        ("Software", f"torch {listed('torch')}" if listed("torch") else ""),
        ("Commit", listed("commit")),
        ("Environment lock", listed("lock")),
    ]
    return tuple((term, text) for term, text in found if text)


def measures(comparison: Comparison) -> Measures:
    """All metrics of all probes: (probe, ((metric's title, one cell per arm), ...))."""
    names: dict[str, set[str]] = {}
    for each in comparison.results:
        for probe, metrics in each.probes.items():
            names.setdefault(probe, set()).update(metrics)
    found = []
    for probe in sorted(names):
        rows = []
        for name in sorted(names[probe], key=natural):
            measure = comparison.describe(name)
            cells = tuple(leaderboard.cell(arm.estimate(name), measure) for arm in comparison.arms)
            rows.append((measure.heading, cells))
        if rows:
            found.append((probe, tuple(rows)))
    return tuple(found)


def settings(comparison: Comparison) -> tuple[Settings, ...]:
    """The settings of each variant of each method. Raises `UserError` if they cannot be read."""
    found: dict[str, Settings] = {}
    for arm in comparison.arms:
        first = arm.results[0]
        id = settings_id(first)
        if id in found:
            continue
        path = first.folder / "params.yaml"
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"cannot read {path}: {error.strerror}; finish the run first"
            ) from error
        named = f"{arm.method}, {arm.variant}" if arm.variant != BASE else arm.method
        found[id] = Settings(id, named, text)
    return tuple(found.values())


def settings_id(result: Result) -> str:
    """The HTML id of a run's settings; distinct from the ids of arms."""
    run = result.planned
    return f"settings/{run.dataset}/{run.method}/{run.variant}".replace(" ", "_")


def plain(text: str) -> str:
    """The text on one line, escaped so that Markdown reads no HTML and no table cell in it."""
    line = re.sub(r"([\\|])", r"\\\1", re.sub(r"[\r\n\t\v\f]+", " ", text))
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", line)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as Markdown."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(map(plain, cells))} |\n"

    return line(columns) + "|---" * len(columns) + "|\n" + "".join(map(line, rows))
