"""Commands run as `python -m` runs them, in forks of one process that has loaded their libraries.

Snakemake takes more than a second to load and torch two, which a session of tests would pay for
each of its hundreds of commands. The package `unlabel` itself is never loaded beforehand: a project
that a test copies brings its own. The server also does the jobs of local workflows, as it speaks
as `unlabel.workflow.forkserver` does.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ENVIRONMENT = "UNLABEL_TEST_FORKS"  # where the server of this session listens
# What the commands load, besides the package.
LIBRARIES = {
    "snakemake": (
        *("snakemake.cli", "snakemake.scheduling.greedy", "snakemake.executors.local"),
        *("snakemake_executor_plugin_slurm", "snakemake_executor_plugin_cluster_generic"),
        *("snakemake.report.html_reporter", "snakemake.profiles", "snakemake.storage"),
        *("smart_open", "yte", "jinja2", "hydra", "omegaconf", "pandas", "pyarrow.parquet"),
        *("torch", "torchvision.models", "safetensors.torch"),  # a plan checks recipes by classes
    ),
    "unlabel": (
        *("torch", "pyarrow.parquet", "pyarrow.compute", "pandas", "safetensors.torch", "yaml"),
        *("altair", "jinja2", "vl_convert", "sklearn.manifold", "hydra", "omegaconf"),
    ),
    "dvc": ("dvc.cli", "dvc.repo", "dvc_data", "pandas"),
}

# Snakemake sets the number of each job's threads, which torch reads when it is loaded.
THREADS = ("OMP", "GOTO", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMEXPR")
COUNTS = {f"{name}_NUM_THREADS": "1" for name in THREADS}
READ_BEFORE = ("OMP", "GOMP", "MKL", "OPENBLAS", "CUDA", "TORCH", "PYTORCH", "LD", "PYTHON", "ATEN")


def run(
    module: str, *arguments: str, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """`python -m module arguments` in a folder: a fork does it where the session has a server."""
    words = [sys.executable, "-m", module, *arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        streams = [out.fileno(), error.fileno()]
        path = os.environ.get(ENVIRONMENT)
        if path is None or module not in LIBRARIES:
            done = subprocess.run(words, cwd=folder, env=environment, stdout=out, stderr=error)
            status = done.returncode
        else:
            asked = {"folder": str(folder), "environment": dict(environment)}
            status = _ask(
                path, asked | {"direct": True, "module": module, "arguments": arguments}, streams
            )
        said = []
        for stream in (out, error):
            stream.seek(0)
            said.append(stream.read().decode(errors="replace").replace("\r\n", "\n"))
    return subprocess.CompletedProcess(words, status, *said)


def _ask(path: str, asked: Mapping[str, object], streams: Sequence[int]) -> int:
    with socket.socket(socket.AF_UNIX) as server, Path(os.devnull).open() as nothing:
        server.connect(path)
        socket.send_fds(server, [b"."], [nothing.fileno(), *streams])
        server.sendall(json.dumps(asked).encode() + b"\n")
        answers = server.makefile()
        answers.readline()  # its process
        return int(answers.readline() or -9)  # without an answer, it was killed


def shared(name: str) -> Path | None:
    """A file that all processes of the session may share; None where they have no server."""
    path = os.environ.get(ENVIRONMENT)
    return Path(path).parent / name if path else None


@contextmanager
def server() -> Iterator[None]:
    """A server for this process and those it starts, while the context lasts."""
    with tempfile.TemporaryDirectory(prefix="forks-") as folder:
        path = f"{folder}/socket"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(128)
            started = subprocess.Popen(
                [sys.executable, __file__, str(listener.fileno())],
                stdin=subprocess.PIPE,  # it ends when this closes, as it does with this process
                env=os.environ | COUNTS,
                pass_fds=[listener.fileno()],
            )
        os.environ[ENVIRONMENT] = path
        try:
            yield
        finally:
            del os.environ[ENVIRONMENT]
            assert started.stdin
            started.stdin.close()
            started.wait()


def _serve(listener: socket.socket) -> None:
    import gc
    import select
    import signal
    import warnings
    from importlib import import_module

    warnings.filterwarnings("ignore", ".* multi-threaded, use of fork", DeprecationWarning)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    environment = _read_before(os.environ)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        job, _ = listener.accept()
        _, streams, _, _ = socket.recv_fds(job, 1, 3)
        asked = {"module": "unlabel"} | json.loads(job.makefile().readline())
        for library in LIBRARIES[asked["module"]]:
            import_module(library)
        gc.freeze()  # the collector would otherwise touch, and so copy, every page in each fork
        # A job of a workflow is done just as the process itself would: or it gets no answer.
        suits = "arguments" in asked and (
            asked.pop("direct", False) or _read_before(asked["environment"]) == environment
        )
        if suits and os.fork() == 0:
            listener.close()
            _work(job, streams, asked)
        for stream in streams:
            os.close(stream)
        job.close()


def _work(job: socket.socket, streams: Sequence[int], asked: Mapping[str, object]) -> None:
    """Be the process that was asked for, then end."""
    import atexit
    import runpy
    import signal
    import threading
    from importlib import import_module

    status: object = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        # those of the server may have been of another kind, such as a file
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        if "SLURM_JOB_ID" in asked["environment"]:
            os.setpgid(0, 0)  # with all that it starts, as Slurm ends them together
        job.sendall(f"{os.getpid()}\n".encode())
        threading.Thread(target=_end_with, args=(job,), daemon=True).start()
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        paths = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
        sys.path[:0] = [str(Path.cwd()), *paths]
        sys.argv = [asked["module"], *asked["arguments"]]
        if asked["module"] == "unlabel":
            # as __main__ does, which would ask for a fork
            import_module("unlabel.workflow.engine.wanted").install()
            import_module("unlabel.cli").main(asked["arguments"])
        else:
            _hurry()
            runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as ended:
        status = ended.code
        if isinstance(status, str):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    with suppress(BaseException):
        atexit._run_exitfuncs()
    for output in (sys.stdout, sys.stderr):
        with suppress(OSError):
            output.flush()
    with suppress(OSError):
        job.sendall(f"{status or 0}\n".encode())
    os._exit(0)  # taking the libraries down would take another while


def _hurry() -> None:
    """Let Snakemake ask for the states of jobs every half second.

    Slurm's plugin asks ever more rarely, to spare a cluster that others use too.
    """
    import asyncio

    sleep = asyncio.sleep
    asyncio.sleep = lambda seconds, *rest: sleep(min(seconds, 0.5), *rest)


def _read_before(environment: Mapping[str, str]) -> dict[str, str]:
    """What libraries read when they are loaded; each fork takes these two anew."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(READ_BEFORE) and name not in ("PYTHONPATH", "CUDA_VISIBLE_DEVICES")
    }


def _end_with(job: socket.socket) -> None:
    """Be killed when the process that asked for the work ends."""
    import signal

    with suppress(OSError):
        job.recv(1)  # nothing is ever sent: this returns when the other end closes
    if os.getpgrp() == os.getpid():  # a job of Slurm
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: what is in it is no command's
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        _serve(listener)
