"""A copy of the project to build something small in, and what is asked of it."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from support import forks
from unlabel import files
from unlabel.files import FROZEN
from unlabel.workflow import forkserver

ROOT = Path(__file__).parents[2]
STUDY = {
    "title": "Test",
    "question": "Does it work?",
    "datasets": ["digits"],
    "methods": ["random", "simclr", "rotation"],
    "seeds": [0],
    "metric": "linear",
}
WEIGHTS = 72432  # of the encoder at budget tiny, on digits
# The loss of a method is above zero after few seeds. No encoder is larger, so that stays open.
LOOKED = {name: value for name, value in STUDY.items() if name != "seeds"} | {
    "methods": ["simclr", "rotation"],
    "metric": "log.loss",
    "looks": [3, 4, 5],
    "statement": "so",
    "claims": [
        {"says": "It has a loss", "higher": "simclr", "than": 0},
        {"says": "It is larger", "higher": "rotation.run.parameters", "than": WEIGHTS},
    ],
}
# Of trainings that last a few seconds.
VARIANT = "training.epochs=50"
LONGER = STUDY | {"methods": ["simclr", "rotation"], "arms": {"base": [VARIANT]}}
# Of commands that only stand for forks of the session's server. What kills one kills its fork too,
# but a cluster that ends a job has no hold on what that has started.
STAND_IN = {"PYTHONPATH": str(ROOT / "tests/support/stand_in")}
RESULTS = ("encoder.safetensors", "method.safetensors", "log.parquet", "metrics/linear.json")


def project(folder: Path, study: dict) -> Path:
    """A copy of the project with a study of its own as what is built."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (
        "Snakefile",
        "workflow",
        "profiles",
        "params",
        "ssl",
        "dvc.yaml",
        ".dvcignore",
        ".gitignore",
    ):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    (folder / "params/study/test.yaml").write_text(yaml.safe_dump(study))
    workflow = folder / "params/workflow.yaml"
    text = workflow.read_text().replace("leaderboard #", "test #").replace("quick #", "tiny #")
    workflow.write_text(text)
    for script in _scripts():
        (folder / FROZEN).mkdir(parents=True, exist_ok=True)
        shutil.copy(script, folder / FROZEN / script.name)
    return folder


def with_one_study(folder: Path, study: dict) -> Path:
    """A copy of the project with no study but `test`."""
    folder = project(folder, study)
    for path in (folder / "params/study").glob("*.yaml"):
        if path.stem != "test":
            path.unlink()
    return folder


def _scripts() -> list[Path]:
    """The script of all charts, which takes two seconds to make, if a project has made it."""
    shared = forks.shared("")
    return sorted(shared.glob("vega-*.js")) if shared else []


def _keep_scripts(folder: Path) -> None:
    """Let the projects to come have the script of all charts that this one has made."""
    for script in (folder / FROZEN).glob("vega-*.js"):
        kept = forks.shared(script.name)
        if kept and not kept.exists():
            files.write_text(kept, script.read_text(encoding="utf-8"), durable=False)


def environment(**extra: str) -> dict[str, str]:
    """What a command is given: not what scikit-learn has set in this process."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KMP_")}
    return {**kept, "UNLABEL_CHECKPOINT_SECONDS": "0.05", "PATH": path, **extra}


def forked(**extra: str) -> dict[str, str]:
    """The same, in which forks of the session's server do the jobs of a local workflow."""
    server = os.environ.get(forks.ENVIRONMENT)
    return environment(**({forkserver.ENVIRONMENT: server} if server else {}), **extra)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", *arguments]


def snakemake(folder: Path, *arguments: str, fails: bool = False) -> str:
    """What Snakemake prints; it must end well, or with `fails` it must not."""
    given = environment(**STAND_IN) if "--profile" in arguments else forked()
    done = forks.run("snakemake", *arguments, folder=folder, environment=given)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    _keep_scripts(folder)
    return done.stdout + done.stderr


def alone(folder: Path, *arguments: str) -> None:
    """Run Snakemake as a process, with a fork server of its own for its jobs."""
    done = subprocess.run(
        command(*arguments), cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    _keep_scripts(folder)


def planned(folder: Path) -> dict[str, int]:
    """How many jobs of each rule Snakemake would run now."""
    text = snakemake(folder, "-n", "--quiet", "rules")
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE))
    jobs.pop("total", None)
    return {rule: int(count) for rule, count in jobs.items()}


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of all results that must be the same bits each time."""
    files = [f for name in RESULTS for f in folder.glob(f"data/runs/*/*/*/*/*/{name}")]
    files += [
        *folder.glob("data/runs/*/*/*/*/*/metrics/*.json"),
        *folder.glob("reports/metrics/**/*.json"),
    ]
    files += [*folder.glob("data/prepared/*/*.arrow"), *folder.glob("reports/plots/*.csv")]
    return {
        str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest()
        for f in sorted(set(files))
    }
