"""`config.yaml` and `workflow.yaml`: their keys are fixed, and nobody would read another one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unlabel.errors import UserError, did_you_mean
from unlabel.params import written

SECTIONS = (  # of a run
    *("seed", "hardware", "placement", "encoder", "training", "monitor", "optimizer", "features"),
    *("probes", "transfer"),
)
BUILT = ("study", "budget", "gpu")  # what the workflow cannot do without
KEYS = (*BUILT, "dataset", "encoder", "name", "probes", "looks")


def of_run(params: Path) -> dict[str, Any]:
    """The defaults of a run, `config.yaml`. Raises `UserError` if a section is missing or wrong."""
    return _checked(params / "config.yaml", SECTIONS, SECTIONS)


def of_workflow(params: Path) -> dict[str, Any]:
    """What `snakemake` builds, `workflow.yaml`. Raises `UserError` for a key missing or wrong."""
    return _checked(params / "workflow.yaml", KEYS, BUILT)


def _checked(path: Path, known: Sequence[str], needed: Sequence[str]) -> dict[str, Any]:
    content = written.load(path)
    for key in content:
        if key not in known:
            raise UserError(f"{path} has {key!r}, which is no setting; {did_you_mean(key, known)}")
    for key in needed:
        if content.get(key) is None:
            raise UserError(f"{path} lacks {key!r}; write what it is, or restore the file")
    return content
