"""What only looks at the workflow changes nothing, and shows what a run would do."""

import json
import os
import re
import shutil
import time
from pathlib import Path

from support.project import ROOT, snakemake
from unlabel.workflow.engine import provenance, records

RUN = "data/runs/tiny/digits/simclr/base/0"
LOOKS = {
    "-pn": "This was a dry-run",
    "-Fn": "This was a dry-run",
    "--dag": "digraph",
    "--summary": "output_file",
    "--lint": "",
    "--list-rules": "pretrain_simclr",
}
OURS = (".snakemake/log", ".snakemake/iocache", ".snakemake/unlabel/", ".snakemake/auxiliary")


def state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Each file but logs and what is named by its content: its number, size and time."""
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        cached = name.startswith(OURS) and "submitted" not in name
        if path.is_file() and not cached and "__pycache__" not in name:
            about = path.stat()
            found[name] = (about.st_ino, about.st_size, about.st_mtime_ns)
    return found


def leave(folder: Path) -> None:
    """What a clone, a killed Snakemake, a clock and a person may leave."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        provenance.export()
    finally:
        os.chdir(here)
    for target in ("metrics/knn.json", "log.parquet"):  # as in a fresh clone
        (folder / records.place(records.RECORDS, f"{RUN}/{target}")).unlink()
    mark = folder / records.place(records.UNFINISHED, f"{RUN}/features.parquet")
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps({"external_jobid": None}))
    rotation = folder / "data/runs/tiny/digits/rotation/base/0/encoder.safetensors"
    rotation.write_bytes(rotation.read_bytes()[:-1] + b"x")
    tomorrow = time.time() + 86400
    os.utime(folder / "data/prepared/digits/test.arrow", (tomorrow, tomorrow))
    (folder / ".snakemake/locks").mkdir(exist_ok=True)
    (folder / ".snakemake/locks/0.output.lock").write_text(f"{RUN}/features.parquet\n")


def test_a_look_changes_nothing_and_shows_what_a_run_does(copy):
    leave(copy)
    before = state(copy)
    for look, said in LOOKS.items():
        assert said in snakemake(copy, look, fails=look == "--lint")  # it has some to say
        assert state(copy) == before, look
    printed = snakemake(copy, "-n", "--quiet", "rules")
    planned = dict(re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE))
    assert "is not the file that provenance.json records; it is made again" in printed
    assert "Directory cannot be locked" not in printed
    assert state(copy) == before
    assert planned == {
        "pretrain_rotation": "1", "features": "2", "probe": "2", "finetune": "1", "report": "1",
        "method": "2", "all": "1", "total": "10",
    }  # fmt: skip
    printed = snakemake(copy, "--cores", "2")
    done = re.findall(r"^\d+ of (\d+) · (\w+)", printed, re.MULTILINE)
    assert len(done) == int(done[0][0]) == 9
    assert "Nothing to be done" in snakemake(copy, "-n")


def test_the_results_lie_in_the_folder_that_is_asked_for(copy, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    for name in ("data", "reports", ".snakemake"):
        shutil.move(copy / name, there / name)
    assert "Nothing to be done" in snakemake(copy, "-n", "--directory", str(there))
    page = f"./{RUN}/metrics/knn.json"
    assert "Nothing to be done" in snakemake(copy, "-n", "--directory", str(there), page)


def test_plain_snakemake_says_what_is_missing_and_has_the_default_profile(copy):
    printed = snakemake(copy, fails=True)
    assert "Traceback" not in printed
    assert "cores have to be specified" in printed
    assert "profiles/default" in printed
    assert (ROOT / "profiles/default/config.yaml").samefile(
        ROOT / "workflow/profiles/default/config.yaml"
    )


def test_the_python_interface_twice_in_one_process(copy, monkeypatch):
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import DAGSettings, OutputSettings, ResourceSettings

    monkeypatch.chdir(copy)
    for target in ("all", f"{RUN.replace('base/0', 'base/7')}/run.json"):
        with SnakemakeApi(OutputSettings(dryrun=True)) as api:
            workflow = api.workflow(resource_settings=ResourceSettings(cores=1))
            dag = workflow.dag(DAGSettings(targets={target}, max_checksum_file_size=1 << 40))
            updated: list[str] = []
            dag.execute_workflow(executor="dryrun", updated_files=updated)
    assert f"{RUN.replace('base/0', 'base/7')}/run.json" in updated


def test_packages_on_pythonpath_stay_there(copy, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/opt/modules/lib")
    code = "\nimport os; print('path', os.environ['PYTHONPATH'])\n"
    with (copy / "Snakefile").open("a") as file:
        file.write(code)
    assert f"path {copy / 'ssl'}{os.pathsep}/opt/modules/lib" in snakemake(copy, "--list-rules")


def test_a_dry_run_says_in_words_what_is_made_and_why(copy):
    def said(*words: str) -> list[str]:
        """What is said before the jobs, and the line of each rule and reason."""
        printed = snakemake(copy, "-n", "--cores", "2", *words)
        assert "\nrule " not in printed
        text = printed.partition("\njobs to do: ")
        lines = text[2].partition("\nadd -p to see each job")[0].splitlines()[1:]
        return [text[0].splitlines()[-1], *(" ".join(line.split()) for line in lines)]

    again = "its inputs are made again"
    forced = said("--forcerun", "finetune", "--until", "finetune")
    assert forced[0].startswith("3 runs, none of them to be trained: about ")
    assert forced[1:] == ["3 finetune forced (random, rotation, simclr)"]
    assert said("-R", "finetune", "--touch")[0].startswith("--touch runs no job")
    simclr, probe = copy / "params/method/simclr.yaml", copy / "ssl/unlabel/stage/probe.py"
    simclr.write_text(simclr.read_text().replace("temperature: 0.2", "temperature: 0.3"))
    probe.write_text(
        probe.read_text().replace("settings = load(params)", "settings = {**load(params)}")
    )
    (copy / RUN.replace("simclr", "rotation") / "metrics/knn.json").unlink()
    rotation = RUN.replace("simclr", "rotation")
    mark = copy / records.place(records.UNFINISHED, f"{rotation}/metrics/finetune.json")
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text('{"external_jobid": null}')
    with (copy / f"{RUN}/run.json".replace("simclr", "random")).open("a") as file:
        file.write(" ")
    found = said()
    assert found[0].startswith("3 runs, 2 of them to be trained: about ")
    assert found[1:] == [
        "1 pretrain not the file that was made (random)",
        "1 pretrain method.temperature: 0.2 → 0.3 (simclr)",
        f"2 features {again} (random, simclr)",
        f"2 probe {again} (random, simclr)",
        "1 probe missing; its code changed (rotation)",
        f"2 finetune {again} (random, simclr)",
        "1 finetune interrupted (rotation)",
        f"1 report {again}",
        f"3 method {again} (random, rotation, simclr)",
    ]
    for path in (copy / ".snakemake/unlabel").glob("*.yaml"):
        path.unlink()  # as in a clone
    assert said()[2] == found[2]
    assert re.search(
        r"\nrule pretrain_simclr:\n.*Shell command: ", snakemake(copy, "-pn"), re.DOTALL
    )
