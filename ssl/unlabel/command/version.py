"""Make a version of what is on disk, with DVC."""

import subprocess
import sys
from pathlib import Path

from unlabel.errors import UserError
from unlabel.stage import provenance as record
from unlabel.workflow import dvc
from unlabel.workflow.engine import provenance


def run(name: str | None = None) -> None:
    """Record in DVC what is on disk, made here or on a cluster, as `dvc repro` would.

    Writes provenance.json, reports/dvc.yaml and dvc.lock, for you to commit to git.

    Args:
        name: also save an experiment of DVC under this name, without a commit

    Raises:
        UserError: if DVC refuses
    """
    if not Path(".dvc").is_dir():
        raise UserError("this folder is not a DVC repository; go to the one with .dvc")
    record.run()
    _dvc("commit", "--force", "workflow")
    if name:
        kept = [provenance.PROVENANCE, dvc.ARTIFACTS]
        added = [word for path in kept for word in ("--include-untracked", str(path))]
        _dvc("exp", "save", "--force", "--name", name, *added)
        print(f"the experiment {name}; compare it with: dvc exp show --only-changed")
    else:
        print("now commit this to git, and push what DVC has: git add -A; git commit; dvc push")


def _dvc(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        why = said[0].removeprefix("ERROR: ") if said else done.stderr.strip()
        mend = "; make it with snakemake first" if "does not exist" in why else ""
        raise UserError(f"dvc {' '.join(words[:2])} failed: {why}{mend}")
