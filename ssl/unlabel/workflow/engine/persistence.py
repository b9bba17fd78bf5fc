"""Where this workflow meets Snakemake's internals, and what it relies on there.

Snakemake parses the Snakefile before it knows what it was asked for: at that time there are neither
targets nor an executor, and `onstart` comes only after the jobs were chosen. In between, each
command that looks at jobs opens Snakemake's records (its *persistence*) once, and builds the graph
from them. `install` puts a subclass in that place. It asks for corrections at that moment, when a
run can still write them. For a look, they stay in memory and the subclass answers with them.

What this relies on is Snakemake 9's: format 6 of its records; that they are files below
`.snakemake/metadata` and `.snakemake/incomplete`, named by the output's path in base64; the names
`snakemake.workflow.FilePersistence`, `Workflow.iocache.mtime`, `DAG.forcefiles` and
`_IOFile.protected`; and the methods that are overridden here. `check` refuses anything else, in a
sentence, and `tests/workflow/engine/test_contract.py` says which of them a new Snakemake has
changed.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import snakemake.api  # before the others, which import each other in a circle
import snakemake.persistence
import snakemake.workflow
from snakemake.io import Mtime, _IOFile
from snakemake.persistence import MetadataRecord
from snakemake.persistence.file import FilePersistence

from unlabel.errors import UserError
from unlabel.workflow.engine import altered
from unlabel.workflow.engine.corrections import Corrections
from unlabel.workflow.engine.records import OTHER
from unlabel.workflow.engine.wanted import PLAN

FORMAT = 6  # of the records
OURS = "this workflow reads Snakemake's records as files of format"


def check(workflow: Any) -> None:
    """Raise `UserError` if Snakemake keeps its records in another way than is known here."""
    found = getattr(snakemake.persistence, "RECORD_FORMAT_VERSION", None)
    if found != FORMAT:
        raise UserError(
            f"{OURS} {FORMAT}, but Snakemake {snakemake.__version__} writes format {found}; "
            "install the version in requirements.lock"
        )
    backend = workflow.workflow_settings.persistence_backend
    if getattr(backend, "name", None) != "FILE":
        raise UserError(f"{OURS} {FORMAT}; leave out --persistence-backend {backend}")


def install(correct: Callable[[Any], Corrections]) -> None:
    """Have `correct` called with the workflow just before its graph is built, and heard."""
    snakemake.workflow.FilePersistence = partial(Records, correct)


def install_marks() -> None:
    """Have a job on another machine, which is a Snakemake too, mark its outputs as we do."""
    snakemake.workflow.FilePersistence = Marks


def replace_protected() -> None:
    """Let Snakemake replace an output that is write-protected, as DVC's hard links are.

    It refuses to, although it removes an output before its job, and so leaves the linked file in
    DVC's cache alone. DVC could only copy instead, which takes twice the disk. No rule here asks
    Snakemake to protect anything.
    """
    _IOFile.protected = _never


def remove_locks() -> None:
    """Do what `snakemake --unlock` does."""
    FilePersistence().cleanup_locks()


class Marks(FilePersistence):
    """Snakemake's records, with marks of running jobs that name the plan."""

    def _mark_incomplete(self, key: str, external_jobid: str | None) -> None:
        super()._mark_incomplete(key, external_jobid)
        mark = {"external_jobid": external_jobid, "plan": os.environ.get(PLAN)}
        self._io_write(self._incomplete_path, mark, key)


class Records(Marks):
    """Snakemake's records as they are after the corrections, written or not."""

    def __init__(
        self, correct: Callable[[Any], Corrections], *positional: Any, dag: Any, **named: Any
    ):
        self.corrections = correct(dag.workflow)
        self.written: dict[str, dict[str, Any]] = {}  # of outputs that are being recorded
        super().__init__(*positional, dag=dag, **named)
        for target, seconds in self.corrections.times.items():
            dag.workflow.iocache.mtime[target] = Mtime(local=seconds)
        dag.forcefiles.update(self.corrections.forced)
        if self.corrections.ignore_locks:
            self.lock = self.noop  # as with --nolock

    def _read_record(self, key: str) -> Any:
        if key not in self.corrections.records:
            found = super()._read_record(key)
        else:
            record = self.corrections.records[key]
            found = MetadataRecord.model_validate(record) if record else None
        return found or _unknown(Path(key))

    async def finished(self, job: Any) -> None:
        """Record a job that has ended, with the checksums of what it wrote."""
        for output in job.output:
            path = Path(output)
            if path.is_file():
                self.written[str(output)] = await asyncio.to_thread(altered.written, path)
        await super().finished(job)

    def _write_record(self, key: str, record: Any) -> None:
        # Snakemake's own class has no room for more, and passes over what it does not know
        known = dict(record.items()) | self.written.pop(key, {})
        self._io_write(self._metadata_path, known, key)

    def _filter_incomplete_keys(self, keys: Iterable[str]) -> set[str]:
        keys = set(keys)
        found: set[str] = super()._filter_incomplete_keys(keys)
        return found | (keys & self.corrections.unfinished)


def _unknown(output: Path) -> MetadataRecord | None:
    """The record of a file that has none, which is made again; None if there is no file."""
    if not output.is_file():
        return None
    time = output.stat().st_mtime
    known = {"rule": "", "shellcmd": "", "log": [], "starttime": time, "endtime": time}
    return MetadataRecord(record_format_version=FORMAT, **known, **OTHER)


async def _never(_: _IOFile) -> bool:
    return False
