"""The results of a finished run, read from its folder."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from unlabel import files
from unlabel.analysis.collapse import collapse
from unlabel.analysis.frozen_study import PlannedRun
from unlabel.errors import UserError, reason

FIRST = "finish the run"  # what to do if one of its files is missing


@dataclass(frozen=True)
class Result:
    """What a run measured, and what it was made with."""

    planned: PlannedRun
    folder: Path
    run_info: Mapping[str, Any]  # run.json
    probes: Mapping[str, Mapping[str, float]]  # probe -> metric -> value
    log: pd.DataFrame

    @property
    def seed(self) -> int:
        """The seed of its random numbers."""
        return self.planned.seed

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of all probes; no two probes share a name."""
        return {name: value for probe in self.probes.values() for name, value in probe.items()}

    def value(self, name: str) -> float | None:
        """A metric: `log.NAME` is in the log's last row, `run.NAME` in run.json. None if absent."""
        kind, _, rest = name.partition(".")
        if kind == "log" and rest:
            last = self.log[rest].iloc[-1] if rest in self.log and len(self.log) else math.nan
            return None if math.isnan(last) else float(last)
        found = self.run_info.get(rest) if kind == "run" else self.metrics.get(name)
        return float(found) if isinstance(found, int | float) else None

    @property
    def trained(self) -> bool:
        """Did it train at all?"""
        return self.run_info.get("images_per_second") is not None

    @property
    def collapse(self) -> str:
        """Why the run counts as collapsed: all images end with nearly one representation.

        Empty if it did not collapse, and for an untrained encoder.
        """
        last = self.log.iloc[-1].to_dict() if self.trained and len(self.log) else {}
        return collapse({str(name): value for name, value in last.items()})

    def pictures(self) -> pd.DataFrame:
        """A table of `caption`, `index` and `png`; empty if the method shows nothing."""
        path = self.folder / "pictures.parquet"
        return _table(path, ["caption", "index", "png"])


def read(
    planned: PlannedRun,
    runs: Path,
    wanted: Sequence[str],
    transfer: Sequence[str] = (),
) -> Result:
    """Read a run's folder below `runs`: the `wanted` probes, and its `transfer` to datasets.

    The folder may also hold numbers of probes that are no longer planned; nobody reads them.

    Raises `UserError` for a missing or damaged file, and for a metric that is not a number.
    """
    folder = runs / planned.run.folder
    probes, origin = {}, dict[str, Path]()
    paths = [folder / "metrics" / f"{probe}.json" for probe in sorted(wanted)]
    for path in [*paths, *(folder / "transfer" / f"{target}.json" for target in transfer)]:
        kind = path.stem if path in paths else f"transfer to {path.stem}"
        probes[kind] = _metrics(path)
        for name in probes[kind]:
            if name in origin:
                raise UserError(f"{origin[name]} and {path} both have {name!r}; rename one of them")
            origin[name] = path
    run_info = files.read_json(folder / "run.json", FIRST)
    return Result(planned, folder, run_info, probes, _table(folder / "log.parquet", ["epoch"]))


def _metrics(path: Path) -> dict[str, float]:
    metrics = files.read_json(path, FIRST)
    for name, value in metrics.items():
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not math.isfinite(value)
        ):
            raise UserError(
                f"{name} in {path} is {value!r}, but must be a finite number; "
                "delete the file and measure again"
            )
    return {name: float(value) for name, value in metrics.items()}


def _table(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path, page_checksum_verification=True)
    except FileNotFoundError as error:
        raise UserError(f"cannot read {path}: it does not exist; finish the run first") from error
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"{path} is damaged ({reason(error)}); delete it and make it again"
        ) from error
    if missing := [column for column in columns if column not in table]:
        raise UserError(f"{path} has no column {missing[0]!r}; delete it and make it again")
    return table
