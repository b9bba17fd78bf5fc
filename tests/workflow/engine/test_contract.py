"""What the workflow relies on in Snakemake's internals; a new Snakemake is held to it here."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
import snakemake
import snakemake.api
import snakemake.dag
import snakemake.workflow
from snakemake import persistence as theirs
from snakemake.api import SnakemakeApi
from snakemake.io import IOCache, _IOFile
from snakemake.persistence.file import FilePersistence
from snakemake.settings.types import DAGSettings, OutputSettings, Quietness, ResourceSettings

from support.project import STUDY, environment, project
from unlabel.workflow.engine import persistence, records

TARGET = "data/é" + "long" * 60  # whose record is in a folder
RULE = f'rule one:\n    output: "{TARGET}"\n    shell: "echo 1 > {{output}}"\n'


def test_snakemake_9_keeps_records_of_format_6_where_and_how_we_read_them(tmp_path, monkeypatch):
    assert snakemake.__version__.startswith("9.")
    assert theirs.RECORD_FORMAT_VERSION == persistence.FORMAT == 6
    monkeypatch.chdir(tmp_path)
    Path("Snakefile").write_text(RULE)
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        asked = api.workflow(resource_settings=ResourceSettings(cores=1))
        asked.dag(DAGSettings(targets={TARGET})).execute_workflow()
    assert [found for found, _ in records.read(records.RECORDS)] == [TARGET]
    record = json.loads(records.place(records.RECORDS, TARGET).read_text())
    known = {"rule", "code", "params", "input_checksums", "starttime", "endtime", "incomplete"}
    assert known <= record.keys()
    assert list(records.read(records.UNFINISHED)) == []
    kept = FilePersistence()
    kept._mark_incomplete(TARGET, None)
    assert [found for found, _ in records.read(records.UNFINISHED)] == [TARGET]
    assert kept._filter_incomplete_keys([TARGET, "other"]) == {TARGET}
    assert kept._read_record(TARGET).code == record["code"]


def test_the_places_in_snakemake_that_are_taken_are_there():
    text = inspect.getsource(snakemake.workflow.Workflow._prepare_dag)
    assert "persistence = FilePersistence" in text
    assert text.index("self.iocache = ") < text.index("self._persistence = persistence(")
    assert text.index("self._dag = DAG(") < text.index("self._persistence = persistence(")
    assert "self.forcefiles = set()" in inspect.getsource(snakemake.dag.DAG.__init__)
    execute = inspect.getsource(snakemake.workflow.Workflow.execute)
    assert execute.index("self._executor_plugin = ") < execute.index("self._prepare_dag(")
    assert execute.index("self._prepare_dag(") < execute.index("self._build_dag(")
    assert isinstance(IOCache(1).mtime, dict)
    assert inspect.iscoroutinefunction(_IOFile.protected)
    for name in ("_read_record", "_filter_incomplete_keys", "cleanup_locks", "noop"):
        assert callable(getattr(FilePersistence, name))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("import snakemake.persistence as p; p.RECORD_FORMAT_VERSION = 7", "writes format 7; inst"),
        ("import sys; sys.modules['snakemake.persistence.file'] = None", "does not know this vers"),
        ("words += ['--persistence-backend', 'db']", "leave out --persistence-backend"),
    ],
)
def test_another_snakemake_is_refused_in_a_sentence(tmp_path, change, said):
    folder = project(tmp_path, STUDY)
    # the change comes after Snakemake has loaded its own modules
    begin = "words = ['-n']; import snakemake.cli, snakemake.api, snakemake.workflow"
    start = f"{begin}; {change}; snakemake.cli.main(words)"
    done = subprocess.run(
        [sys.executable, "-c", start],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].startswith("error: this workflow ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
