"""Folders that the user may not write."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from trial import REPORT, Row, build, copied, differs

TITLE = "Folders that may not be written"
# root may write anywhere, but not without these
POWERS = "-dac_override,-dac_read_search"
POWERLESS = ("setpriv", "--inh-caps", POWERS, "--bounding-set", POWERS)
METRICS = "data/runs/tiny/digits/rotation/base/0/metrics"
# each with what must be made there
FOLDERS = {
    ".": [".snakemake", "data", "logs"],
    ".snakemake": [".snakemake/unlabel"],
    ".snakemake/metadata": [],
    ".snakemake/unlabel": [],
    ".snakemake/log": [],
    "data": ["data/prepared", "data/runs"],
    METRICS: [f"{METRICS}/knn.json"],
    "reports": ["reports/plots"],
    "logs": ["logs/report.log"],
}


def inject() -> Iterator[Row]:
    """Each folder alone."""
    for name, undone in FOLDERS.items():
        with copied() as folder:
            yield Row(f"`{name}`", 1, *outcome(folder, name, undone))


def outcome(folder: Path, name: str, undone: list[str]) -> tuple[str, bool]:
    """What the user is told, and what comes of it once the folder may be written."""
    for path in [folder / each for each in [REPORT, *undone]]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / name).chmod(0o555)
    ended = build(folder, before=POWERLESS)
    (folder / name).chmod(0o755)
    again = build(folder)
    if again.status or differs(folder):
        return f"does not go on: {again.said[-900:]}", False
    if not ended.clear:
        return f"said {ended.sentences}, {ended.said[-1500:]}", False
    return f"sentence: `{ended.sentences[0].replace(str(folder), 'PROJECT')}`", True
