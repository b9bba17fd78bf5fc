"""Show the trainings that run now, here or on a cluster."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from unlabel.files import lock
from unlabel.report.terminal import aligned
from unlabel.training.followers import STATUS
from unlabel.units import DASH, duration

HEAD = ["run", "epoch", "loss", "kNN", "rank", "images/s", "left"]
SECONDS = 1.0  # between two looks


def run(runs: Path = Path("data/runs")) -> None:
    """Show each training that runs now: how far it is, its loss, kNN accuracy and speed.

    In a terminal the view stays until Ctrl-C. Otherwise it prints the current state once. The
    numbers are those that each training writes beside its state, at most once a second. So they
    are there for trainings on other machines too, on a disk that they share.

    Args:
        runs: the folder of all runs
    """
    if not sys.stdout.isatty():
        print(_text(runs))
        return
    from rich.live import Live
    from rich.text import Text

    with suppress(KeyboardInterrupt), Live(Text(_text(runs)), auto_refresh=False) as live:
        while True:
            live.update(Text(_text(runs), overflow="ellipsis", no_wrap=True), refresh=True)
            time.sleep(SECONDS)


def _text(runs: Path) -> str:
    none = f"no training is running below {runs}"
    rows = [_row(each) for each in _running(runs)]
    columns = [list(column) for column in zip(HEAD, *rows, strict=True)]
    return aligned([column for column in columns if {*column[1:]} - {DASH}]) if rows else none


def _running(runs: Path) -> Iterator[dict[str, Any]]:
    """What each running training says of itself."""
    for path in sorted(runs.glob(f"*/*/*/*/*/state.*/{STATUS}")):
        with suppress(OSError, ValueError):  # it has ended meanwhile
            if lock.held(path.with_name("lock")):
                yield json.loads(path.read_text(encoding="utf-8"))


def _row(status: dict[str, Any]) -> list[str]:
    losses = [f"{value:.4g}" for name, value in status.items() if name.startswith("loss")]
    rate = status["images_per_second"]
    return [
        status["run"],
        f"{status['epoch']:.1f} of {status['epochs']}",
        ", ".join(losses) or DASH,
        f"{100 * status['knn']:.1f} %" if "knn" in status else DASH,
        f"{status['effective_rank']:.1f}" if "effective_rank" in status else DASH,
        f"{rate:,.0f}" if rate else DASH,
        duration(status["seconds_left"]) if rate else DASH,
    ]
