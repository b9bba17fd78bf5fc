"""The same jobs on a real Slurm, and on a cluster that has only commands of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.resources import Resources
from snakemake_executor_plugin_slurm import ExecutorSettings

from support import forks
from support.cluster import PATH, needs_accounting, needs_slurm, running
from support.project import (
    LONGER,
    ROOT,
    STAND_IN,
    VARIANT,
    command,
    digests,
    environment,
    project,
    snakemake,
)
from unlabel.errors import UserError
from unlabel.workflow import devices
from unlabel.workflow import slurm as slurm_
from unlabel.workflow.engine import partitions, records

RUN = f"data/runs/tiny/digits/{{}}/{VARIANT}/0"
SLURM = ("--profile", "workflow/profiles/slurm")


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


def ask(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def job(method: str) -> str:
    """The id of the training of a method that is in Slurm's queue."""
    rows = [row.split() for row in ask("squeue", "--noheader", "--format", "%A %k").splitlines()]
    (found,) = [number for number, about in rows if f"pretrain_{method}_" in about]
    return found


def saved(folder: Path, method: str) -> bool:
    """Has a training saved its state, and so is under way?"""
    return any((folder / RUN.format(method)).glob("state.*/state.safetensors"))


def log(folder: Path, method: str) -> str:
    """What the last attempt at a training has said."""
    return next((folder / "logs/pretrain" / method).iterdir()).read_text()


def requeue(number: str) -> None:
    ask("scontrol", "requeue", number)

    def starts() -> bool:  # at once, and not after the two minutes that Slurm lets it wait
        about = ask("scontrol", "show", "job", number)
        if "Reason=BeginTime" in about:
            ask("scontrol", "update", f"JobId={number}", "StartTime=now")
        return "Restarts=1 " in about and not re.search("COMPLETING|BeginTime", about)

    wait_for(starts)


def start(folder: Path, *arguments: str, forked: bool = True) -> subprocess.Popen:
    """Snakemake. What is forked ends as its job in Slurm ends, but is not stopped with it."""
    given = environment(**(STAND_IN if forked else {}))
    with (folder / "printed").open("w") as printed:
        streams = {"stdout": printed, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command(*arguments), cwd=folder, env=given, **streams)


def printed(folder: Path) -> str:
    return (folder / "printed").read_text()


def wait_for(what: Callable[[], bool], seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


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


BOTH = "partitions: {cpu: {}, gpu: {max_gpu: 2}, shared: {max_gpu: 2}, more: {max_gpu: 2}}"


@pytest.mark.parametrize(
    ("file", "named", "chosen"),
    [
        (BOTH, "", ["more", "shared"]),
        (BOTH, "shared", ["shared"]),
        (BOTH, "'shared'", ["shared"]),
        (BOTH, "gpu", []),
        (BOTH, "'shared' if threads > 4 else 'gpu'", []),  # known for each job alone
        ("partitions: {cpu: {}, gpu: {max_gpu: 2}}", "", []),
        ("partitions: {shared: {}}", "", []),  # where it has no GPU
        (None, "", []),
        (None, "shared", ["shared"]),
    ],
)
def test_shards_are_asked_for_only_where_jobs_may_go(tmp_path, file, named, chosen):
    settings = ExecutorSettings()
    if file:
        (tmp_path / "partitions.yaml").write_text(file)
        settings.partition_config = tmp_path / "partitions.yaml"
    words = [f"slurm_partition={named}"] if named else []
    rule = Resources.parse(words, allow_expressions=True, defaults="bare")
    rule["gres"] = lambda wildcards: wildcards.gres
    other = Resources.parse(["mem_mb=8000"], allow_expressions=True)
    rules = [SimpleNamespace(resources=each) for each in (rule, other)]
    workflow = SimpleNamespace(rules=rules, executor_settings=settings)
    assert partitions.send(workflow, "shard:", {"shared", "more", "idle"}) == chosen
    assert "slurm_partition" not in other
    if named or not chosen:
        assert [each.raw for name, each in rule.items() if name == "slurm_partition"] == (
            [named] if named else []
        )
        return
    for asked, where in (("shard:1", "shared,more"), ("gpu:1", None), (None, None)):
        assert rule["slurm_partition"].evaluate(SimpleNamespace(gres=asked)).value == where


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
    for job in jobs():
        assert "Partition=shared " in job
        assert "TresPerNode=gres:shard:1 " in job
        assert "gres:gpu" not in job
    assert digests(folder) == digests(local)


def ranks(run: Path) -> list[dict[str, str]]:
    """The environments of the processes that train a run together, each with its number `pid`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "environ").read_bytes().decode(errors="replace")
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        variables = dict(each.partition("=")[::2] for each in text.split("\0"))
        if "LOCAL_RANK" in variables and str(run.relative_to(run.parents[6])) in command:
            found.append(variables | {"pid": entry.name})
    return found


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
    ask("scancel", number)


def marks(folder: Path) -> dict[str, tuple[float, bytes]]:
    """What Snakemake, and we beside it, know of running jobs."""
    known = folder / ".snakemake"
    places = ("incomplete", "locks", "metadata", "unlabel/submitted", "alive")
    files = [file for place in places for file in [known / place, *(known / place).rglob("*")]]
    return {
        str(file): (file.stat().st_mtime, file.read_bytes()) for file in files if file.is_file()
    }


def without_slurm(folder: Path) -> str:
    """A PATH to all but Slurm's commands."""
    folder.mkdir()
    for place in reversed(PATH.split(os.pathsep)):
        for file in Path(place).iterdir() if Path(place).is_dir() else ():
            (folder / file.name).unlink(missing_ok=True)
            (folder / file.name).symlink_to(file)
    for name in ("sbatch", "sinfo", "squeue", "scancel"):
        (folder / name).unlink()
    return str(folder)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("partitions: {cpu: {max_thread: 8}}", "unknown limit 'max_thread' .*'max_threads'"),
        ("partitions: {cpu: {max_mem_mb: much}}", "'max_mem_mb' .* is 'much', but must be a num"),
        ("partitions: {1: {}}", "the partition 1 in .* is no text"),
        ("partitions: {cpu: 8}", "does not name partitions"),
        ("partitions: [cpu]", "does not name partitions"),
        ("cpu: {}", "does not name partitions"),
        ("partitions: {", "does not name partitions"),
    ],
)
def test_limits_that_the_plugin_could_not_read_are_refused(tmp_path, limits, said):
    file = tmp_path / "partitions.yaml"
    file.write_text(limits)
    with pytest.raises(UserError, match=said) as error:
        partitions.limits_of(file)
    assert str(file) in str(error.value)
    file.write_text("partitions: {gpu: {cluster: a, max_runtime: 2d, max_gpu: 2}, cpu: {}}")
    assert partitions.limits_of(file)["gpu"]["max_gpu"] == 2


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


QUEUE = ROOT / "tests/support/queue"
COMMANDS = [("submit", "submit"), ("status", "status"), ("cancel", "cancel")]
GENERIC = [
    word for name, file in COMMANDS for word in (f"--cluster-generic-{name}-cmd", str(QUEUE / file))
]


@pytest.mark.parametrize(("profile", "commands"), [("cluster", GENERIC), ("kubernetes", [])])
def test_a_cluster_with_commands_of_its_own(local, copy, tmp_path, monkeypatch, profile, commands):
    """Interrupted, and started again."""
    (tmp_path / "queue").mkdir()
    monkeypatch.setenv("QUEUE", str(tmp_path / "queue"))
    monkeypatch.setenv("PATH", f"{QUEUE}:{os.environ['PATH']}")  # which has a kubectl
    for name in ("IMAGE", "CLAIM", "MOUNT"):
        monkeypatch.setenv(f"UNLABEL_{name}", str(tmp_path))
    shutil.rmtree(copy / RUN.format("rotation"))
    wanted = ["--profile", f"workflow/profiles/{profile}", *commands]
    monkeypatch.setenv(devices.STAND_INS, str(tmp_path))
    own = ("UNLABEL_CHECKPOINT_SECONDS", devices.STAND_INS)  # the test's
    wanted += ["--envvars", "UNLABEL_PLAN", *own]
    wanted += [
        "--seconds-between-status-checks",
        "1",
        "--",
        f"{RUN.format('rotation')}/metrics/knn.json",
    ]
    running = start(copy, *wanted)
    wait_for(lambda: saved(copy, "rotation") or running.poll() is not None)
    mark = copy / records.place(records.UNFINISHED, f"{RUN.format('rotation')}/run.json")
    assert (
        "/plan-" in json.loads(mark.read_text())["plan"]
    )  # so that no job left over overwrites it
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=120) != 0
    for session in (tmp_path / "queue").glob("*/session"):
        # Snakemake itself misses a job if it was just asking for its status.
        subprocess.run([QUEUE / "cancel", session.parent.name], check=True)
    assert not (copy / RUN.format("rotation") / "run.json").exists()
    place = wanted.index("--envvars") + 1
    wanted[place:place] = ["PYTHONPATH", forks.ENVIRONMENT]  # jobs may be forks from now on
    snakemake(copy, *wanted)
    assert "going on after step" in log(copy, "rotation")
    assert digests(copy).items() <= digests(local).items()
    assert f"{RUN.format('rotation')}/metrics/knn.json" in digests(copy)
