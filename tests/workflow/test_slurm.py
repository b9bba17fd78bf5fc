"""The same jobs on a real Slurm."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from snakemake_executor_plugin_slurm import ExecutorSettings

from support.cluster import needs_accounting, needs_slurm, running
from support.project import (
    LONGER,
    VARIANT,
    digests,
    project,
    snakemake,
)
from support.slurm_jobs import (
    RUN,
    SLURM,
    ask,
    job,
    log,
    marks,
    printed,
    ranks,
    requeue,
    saved,
    start,
    wait_for,
    without_slurm,
)
from unlabel.errors import UserError
from unlabel.workflow import slurm as slurm_


@pytest.fixture(scope="module")
def local(longer: Path) -> Path:
    """The study, built on this machine."""
    return longer


@pytest.fixture
def copy(local: Path, tmp_path: Path) -> Path:
    """The study as built, to change something in."""
    return shutil.copytree(local, tmp_path / "copy", symlinks=True)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a Slurm that runs; its commands find it by the environment."""
    with running(tmp_path_factory.mktemp("slurm")) as folder:
        yield folder


@needs_slurm
def test_jobs_cancelled_and_requeued_come_to_the_same_bits(slurm, local, copy):
    folder, trainings = copy, [RUN.format(method) for method in ("simclr", "rotation")]
    for made in [*trainings, "reports"]:
        shutil.rmtree(folder / made)
    running = start(folder, *SLURM, *[f"{run}/run.json" for run in trainings])
    todo = {"simclr": lambda number: ask("scancel", number), "rotation": requeue}

    def disturbed() -> bool:
        assert running.poll() is None, (folder / "printed").read_text()
        for method in [each for each in todo if saved(folder, each)]:
            todo.pop(method)(job(method))
        return not todo

    wait_for(disturbed)
    assert running.wait(timeout=900) == 0, printed(folder)
    for method in ("simclr", "rotation"):
        assert "going on after step" in log(folder, method)
    said = snakemake(folder, *SLURM)  # all the rest
    assert digests(folder) == digests(local)
    all_jobs = ask("scontrol", "show", "job", "--oneliner").splitlines()
    jobs = [line for line in all_jobs if f"WorkDir={folder} " in line]
    assert all(re.match(r"JobId=\d+ JobName=unlabel-[0-9a-f]{8}_", line) for line in jobs)
    tries = [line for line in jobs if "pretrain_simclr_wildcards" in line]
    assert [re.search(r"MinMemoryNode=(\w+)", line)[1] for line in tries] == ["8000M", "16000M"]
    for line in jobs:
        gpu = bool(re.search("rule_(pretrain|features|finetune)", line))
        assert ("Partition=gpu " in line) == ("gres:gpu:1" in line) == gpu
    (probes,) = [line for line in jobs if "rule_probes_probe" in line]  # of both runs
    assert re.search("NumCPUs=1 .*MinMemoryNode=8000M ", probes)  # what one of them needs
    assert "TimeLimit=02:00:00 " in probes  # what both need, one after another
    for each in (printed(folder), said):
        assert "has no accounting (Slurm accounting storage is disabled)" in each


@needs_slurm
def test_a_training_on_two_machines_goes_on_to_the_bits_of_one(slurm, tmp_path):
    folder = project(tmp_path, LONGER)
    runs = f"data/runs/tiny/digits/rotation/{VARIANT}+training.{{}}=2/0"
    over, alone = (folder / runs.format(each) for each in ("nodes", "processes"))
    pair = ("--default-resources", "slurm_partition=pair")
    running = start(folder, *SLURM, *pair, "--", f"{runs.format('nodes')}/run.json")

    def goes_on() -> None:
        """Wait until a state is saved that was not there before."""
        path = next(over.glob("state.*/state.safetensors"), None)
        before = path.stat().st_mtime_ns if path else 0
        wait_for(
            lambda: (
                running.poll() is not None
                or any(each.stat().st_mtime_ns > before for each in over.glob("state.*/state.saf*"))
            )
        )
        assert running.poll() is None, printed(folder)

    goes_on()
    number = job("rotation")
    about = ask("scontrol", "show", "job", number)
    assert re.search(r"NumNodes=2 NumCPUs=2 NumTasks=2 CPUs/Task=1 ", about)
    assert "TresPerNode=gres:gpu:1" in about
    machines = {variables["SLURMD_NODENAME"] for variables in ranks(over)}
    assert machines == {"gpu1", "gpu2"}
    assert {variables["LOCAL_RANK"] for variables in ranks(over)} == {"0"}
    requeue(number)
    goes_on()
    assert "going on after step" in log(folder, "rotation")
    (second,) = [each for each in ranks(over) if each["RANK"] == "1"]
    os.kill(int(second["pid"]), signal.SIGKILL)
    assert running.wait(timeout=300) == 0, printed(folder)
    assert "going on after step" in log(folder, "rotation")
    jobs = ask("scontrol", "show", "job", "--oneliner").splitlines()
    assert len([line for line in jobs if "training.nodes=2" in line]) == 2  # the killed, a new one
    snakemake(folder, "--cores", "2", f"{runs.format('processes')}/run.json")
    for name in ("encoder.safetensors", "method.safetensors", "log.parquet", "pictures.parquet"):
        assert (over / name).read_bytes() == (alone / name).read_bytes()


@needs_slurm
def test_where_slurm_has_shards_two_small_jobs_share_a_gpu(slurm, local, copy):
    folder, methods = copy, ("simclr", "rotation")
    file = folder / "workflow/profiles/slurm/partitions.yaml"
    file.write_text("partitions: {cpu: {}, gpu: {max_gpu: 2}, shared: {max_gpu: 2}}")
    features = [f"{RUN.format(method)}/features.parquet" for method in methods]
    for each in features:
        (folder / each).unlink()
    running = start(folder, *SLURM, *features)

    def jobs() -> list[str]:
        lines = ask("scontrol", "--details", "show", "job", "--oneliner").splitlines()
        return [line for line in lines if f"WorkDir={folder} " in line]

    def together() -> bool:
        assert running.poll() is None, printed(folder)
        return sum("GRES=shard:1(IDX:0)" in job for job in jobs()) == 2  # of the first GPU

    wait_for(together)
    assert running.wait(timeout=120) == 0, printed(folder)
    said = "this cluster shares its GPUs: up to 8 jobs a GPU, by its shards (partition shared)"
    assert said in printed(folder)
    for each in jobs():
        assert "Partition=shared " in each
        assert "TresPerNode=gres:shard:1 " in each
        assert "gres:gpu" not in each
    assert digests(folder) == digests(local)


@needs_accounting
def test_where_slurm_has_accounting_sacct_is_asked(tmp_path):
    folder = project(tmp_path / "project", LONGER)
    with running(tmp_path / "slurm", accounting=True):
        assert "no accounting" not in snakemake(folder, *SLURM, f"{RUN.format('random')}/run.json")
        jobs = ask("sacct", "--allocations", "--noheader", "--format", "State,Partition").split()
    assert jobs == ["COMPLETED", "cpu"] * 2  # it trains nothing, and asks for no GPU


@needs_slurm
def test_without_accounting_slurm_must_remember_jobs_until_it_is_asked(slurm, capsys):
    settings = ExecutorSettings()
    assert settings.status_command == "sacct"
    slurm_.choose_question(settings)
    assert settings.status_command == "squeue"
    assert "squeue is asked for the states of jobs" in capsys.readouterr().err
    conf = (slurm / "slurm.conf").read_text()
    try:
        (slurm / "slurm.conf").write_text(conf.replace("MinJobAge=3600", "MinJobAge=60"))
        ask("scontrol", "reconfigure")
        with pytest.raises(UserError, match="forgets a job 60 s after its end; have its admin"):
            slurm_.choose_question(settings)
    finally:
        (slurm / "slurm.conf").write_text(conf)
        ask("scontrol", "reconfigure")


@needs_slurm
def test_interrupted_it_cancels_also_a_job_whose_state_it_is_asking_for(
    slurm, copy, tmp_path, monkeypatch
):
    folder = copy
    long = "data/runs/tiny/digits/rotation/training.epochs=8000/0"
    slow, asked, squeue = (tmp_path / name for name in ("slow", "asked", "squeue"))
    wait = f"if [ -e {slow} ]; then touch {asked}; while [ -e {slow} ]; do sleep 0.1; done; fi"
    squeue.write_text(f'#!/bin/sh\n{wait}\nexec {shutil.which("squeue")} "$@"\n')
    squeue.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        running = start(folder, *SLURM, f"{long}/run.json")
    wait_for(lambda: any((folder / long).glob("state.*/*")) or running.poll() is not None)
    number = job("rotation")
    slow.touch()
    wait_for(asked.exists)
    running.send_signal(signal.SIGINT)
    wait_for(lambda: "Terminating processes" in (folder / "printed").read_text())
    time.sleep(1)  # Snakemake now cancels what it takes for all
    assert "JobState=RUNNING" in ask("scontrol", "show", "job", number)
    slow.unlink()
    assert running.wait(timeout=120) != 0
    wait_for(lambda: "JobState=CANCELLED" in ask("scontrol", "show", "job", number), 60)


@needs_slurm
def test_what_a_killed_snakemake_left_ends_before_it_starts_anew(slurm, local, copy):
    folder = copy
    wanted = (*SLURM, *[f"{RUN.format(method)}/run.json" for method in ("simclr", "rotation")])
    for method in ("simclr", "rotation"):
        shutil.rmtree(folder / RUN.format(method))
    running = start(folder, *wanted, forked=False)
    jobs = {}

    def suspended() -> bool:
        assert running.poll() is None, (folder / "printed").read_text()
        for method in ("simclr", "rotation"):
            if method not in jobs and saved(folder, method):
                jobs[method] = job(method)
                ask("scontrol", "suspend", jobs[method])
        return len(jobs) == 2

    wait_for(suspended)
    running.kill()
    running.wait()
    ask("scontrol", "resume", jobs["rotation"])  # which ends while nobody looks on
    wait_for(lambda: jobs["rotation"] not in ask("squeue", "--noheader", "--format", "%A").split())
    assert "jobs that an earlier Snakemake left in Slurm: 1" in snakemake(folder, "-n", *wanted)
    assert job("simclr") == jobs["simclr"]
    printed = snakemake(folder, *wanted)
    assert f"ending what an earlier Snakemake left in Slurm: {jobs['simclr']}" in printed
    assert digests(folder).items() <= digests(local).items()
    assert "going on after step" in log(folder, "simclr")
    assert "taken back" in log(folder, "rotation")
    assert "images/s" not in log(folder, "rotation")  # which means trained
    first, second = [
        re.search(r"StartTime=(\S+) EndTime=(\S+)", line).groups()
        for line in ask("scontrol", "show", "job", "--oneliner").splitlines()
        if str(folder) in line and "rule_pretrain_simclr" in line
    ]
    assert first[1] <= second[0]


@needs_slurm
def test_a_look_leaves_the_jobs_in_slurm_and_their_marks_alone(slurm, copy):
    folder = copy
    long = "data/runs/tiny/digits/rotation/training.epochs=8000/0"
    running = start(folder, *SLURM, f"{long}/run.json")
    wait_for(lambda: any((folder / long).glob("state.*/*")) or running.poll() is not None)
    running.kill()
    running.wait()
    # a job of the user's own, whose name has a space
    mine = ("--job-name", "my analysis", "--output", "/dev/null", "--wrap", "sleep 600")
    other = ask("sbatch", "--parsable", *mine).strip()
    number, before = job("rotation"), marks(folder)
    assert any("incomplete" in path for path in before)
    assert any("submitted" in path for path in before)
    assert any("locks" in path for path in before)
    looks = [(*SLURM, look) for look in ("-pn", "-Fn", "--dag", "--summary", "--lint")]
    for words in [*looks, ("-pn",)]:  # the last without a word of Slurm
        target = () if "--lint" in words else ("--", f"{long}/run.json")
        snakemake(folder, *words, *target, fails="--lint" in words)  # it has some to say
        assert "JobState=RUNNING" in ask("scontrol", "show", "job", number)
        assert marks(folder) == before, words
    printed = snakemake(folder, *SLURM, "-n", "--quiet", "rules", "--", f"{long}/run.json")
    assert marks(folder) == before
    assert "jobs that an earlier Snakemake left in Slurm: 1" in printed
    assert re.search(r"^pretrain_rotation +1$", printed, re.MULTILINE)
    ask("scancel", number, other)


@needs_slurm
@pytest.mark.parametrize(
    "mistake", ["partition", "option", "limit", "no GPU", "not reachable", "not there"]
)
def test_a_mistake_is_one_sentence_and_loses_nothing(slurm, copy, tmp_path, monkeypatch, mistake):
    options: tuple[str, ...] = ()
    if mistake == "partition":
        file = copy / "workflow/profiles/slurm/partitions.yaml"
        file.write_text(file.read_text().replace("  gpu:", "  gpux:"))
        said = "error: Slurm has no partition 'gpux'; did you mean 'gpu'? Name this cluster's in"
    elif mistake == "option":
        options = ("--default-resources", "slurm_partition=gpux")
        said = (
            "error: Slurm has no partition 'gpux'; did you mean 'gpu'? Name this cluster's in --def"
        )
    elif mistake == "limit":
        file = copy / "workflow/profiles/slurm/partitions.yaml"
        file.write_text(file.read_text().replace("max_gpu", "max_gpus"))
        said = "error: unknown limit 'max_gpus' of the partition 'gpu' in workflow/profiles/slurm/"
    elif mistake == "no GPU":
        file = copy / "workflow/profiles/slurm/partitions.yaml"
        file.write_text(file.read_text().replace("{ max_gpu: 8 }", "{}"))
        said = "error: no partition in workflow/profiles/slurm/partitions.yaml has a GPU, but some"
    elif mistake == "not reachable":
        conf = (slurm / "slurm.conf").read_text()
        (tmp_path / "slurm.conf").write_text(re.sub("SlurmctldPort=.*", "SlurmctldPort=1", conf))
        monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
        said = "error: Slurm cannot be reached (slurm_load_ctl_conf error: Unable to contact"
    else:
        monkeypatch.setenv("PATH", without_slurm(tmp_path / "bin"))
        said = (
            "error: Slurm's commands, such as scontrol and sbatch, are not on this machine's PATH"
        )
    (copy / RUN.format("rotation") / "features.parquet").unlink()  # to be made, on a GPU
    before = digests(copy)
    printed = snakemake(copy, *SLURM, *options, fails=True)
    assert said in printed
    assert "Traceback" not in printed
    assert digests(copy) == before


@needs_slurm
@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to mount a small disk")
def test_a_full_disk_on_the_node_is_one_sentence_and_loses_nothing(slurm, local, copy):
    run = copy / RUN.format("rotation")
    wanted = (*SLURM, f"{RUN.format('rotation')}/run.json", "--retries", "0")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", run])
    if mounted.returncode:
        pytest.skip("needs the permission to mount a small disk")
    try:
        printed = snakemake(copy, *wanted, fails=True)
        assert re.search("error: cannot write at .*: No space left on device; make room", printed)
        assert "Traceback" not in printed
        assert "logs/pretrain/rotation/tiny-digits-" in printed
        ask("mount", "-o", "remount,size=64m", str(run))
        snakemake(copy, *wanted)
        assert digests(copy).items() <= digests(local).items()
        assert f"{RUN.format('rotation')}/encoder.safetensors" in digests(copy)
    finally:
        subprocess.run(["umount", run], check=True)
