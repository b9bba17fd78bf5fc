"""The stages of the workflow, and how to leave one of them with work to do."""

import shutil
from pathlib import Path

from trial import REPORT

STUDY = "reports/study/test.html"
METHOD = "reports/method/rotation.html"
RUNS = "data/runs/*/*/*/*/*"
MADE = (REPORT, f"{RUNS}/metrics/*")
# what is asked for, and what of it is not there yet, so that the stage has work to do
STAGES = {
    "prepare": (REPORT, [*MADE, RUNS, "data/prepared"]),
    "pretrain": (REPORT, [*MADE, RUNS]),
    "features": (REPORT, [*MADE, f"{RUNS}/features.parquet"]),
    "probe": (REPORT, [REPORT, f"{RUNS}/metrics/knn.json"]),
    "finetune": (REPORT, [REPORT, f"{RUNS}/metrics/finetune.json"]),
    "report": (REPORT, [REPORT]),
    "study": (STUDY, [STUDY]),
    "method": (METHOD, [METHOD]),
}


def undo(folder: Path, made: list[str]) -> None:
    """Remove what these patterns find."""
    for path in [path for each in made for path in folder.glob(each)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
