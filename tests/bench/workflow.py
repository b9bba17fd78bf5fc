"""What a process, Snakemake and a plan cost; time by stage of the reproduction in this folder."""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from process import cost
from row import Row

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.project import ROOT, STUDY, project

TITLE = "Workflow"
SNAKEMAKE = (sys.executable, "-m", "snakemake")
PROFILE = ("--workflow-profile", "workflow/profiles/default")
METADATA = ROOT / ".snakemake/metadata"
LIMIT = "the limit we set"
PLANS = {1_000: 8, 10_000: 45}  # runs: seconds


def measure(plans: tuple[int, ...] = tuple(PLANS)) -> Iterator[Row]:
    """Imports; a plan of many runs, new and kept; the reproduction and an idle re-run after it."""
    loaded = min(cost(sys.executable, "-c", "import torch").seconds for _ in range(3))
    stage = min(
        cost(sys.executable, "-c", "import unlabel.stage.pretrain").seconds for _ in range(3)
    )
    yield Row("a process that loads a stage", "one that loads torch", stage, loaded, "s")
    for runs in plans:
        with tempfile.TemporaryDirectory() as name:
            folder = large(Path(name) / "project", runs)
            for case in ("a new plan", "the plan again")[: 2 if runs < 5000 else 1]:
                done = cost(*SNAKEMAKE, "-n", "--quiet", *PROFILE, folder=folder)
                what = f"{case}, {runs:,} runs, dry"
                yield Row(what, LIMIT, done.seconds, PLANS.get(runs, 8), "s", 1)
    if not (ROOT / "reports/index.html").exists():
        print("no reproduction in this folder: run `make reproduce` first", file=sys.stderr)
        return
    yield from stages()
    idle = sorted(
        cost(*SNAKEMAKE, "--cores", "2", "--quiet", *PROFILE, folder=ROOT).seconds for _ in range(3)
    )
    yield Row("snakemake with nothing to do", LIMIT, idle[1], 5, "s", 1)


def large(folder: Path, runs: int) -> Path:
    """A copy of the project whose study has so many runs, of ten methods."""
    methods = ["simclr", "moco", "byol", "simsiam", "barlow", "vicreg", "swav", "dino", "rotation"]
    seeds = list(range(runs // (len(methods) + 1)))
    return project(folder, STUDY | {"methods": ["random", *methods], "seeds": seeds})


def stages() -> Iterator[Row]:
    """Of the reproduction that Snakemake's records here are of: the time of each rule's jobs.

    A stage's jobs run side by side, so that what two cores take is about half of their sum.
    """
    jobs: dict[tuple[str, str], tuple[float, float]] = {}
    for path in METADATA.rglob("*"):
        record = json.loads(path.read_text()) if path.is_file() else {}
        if record.get("endtime"):  # a job's outputs have a record each
            times = record["starttime"], record["endtime"]
            jobs.setdefault((record["rule"], str(record.get("log"))), times)
    spent: dict[str, float] = {}
    for (rule, *_), (began, ended) in jobs.items():
        stage = rule.partition("_")[0]
        spent[stage] = spent.get(stage, 0.0) + ended - began
    began, ended = min(b for b, _ in jobs.values()), max(e for _, e in jobs.values())
    yield Row("reproduction, from the first job to the last", LIMIT, ended - began, 480, "s", 1)
    for stage, seconds in sorted(spent.items(), key=lambda each: -each[1]):
        yield Row(f"{stage}: all its jobs", "all jobs", seconds, sum(spent.values()), "s")
