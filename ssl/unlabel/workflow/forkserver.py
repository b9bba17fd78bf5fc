"""A process that has already loaded torch, and forks jobs: each would take two seconds to load it.

`python -m unlabel STAGE ...` lets a fork of the server do its work, if the environment names one.
The fork has the folder, the environment and the streams of the command, which ends as it ends. The
server loads only other projects' libraries: each job loads the package itself, as it is by then.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

ENVIRONMENT = "UNLABEL_FORK_SERVER"
LIBRARIES = ("torch", "pyarrow.parquet", "pyarrow.compute", "pandas", "safetensors.torch", "yaml")
PAGES = ("altair", "jinja2", "vl_convert", "sklearn.manifold")  # pages need these as well
# Libraries read these when they are loaded, so a job with other values needs another process.
READ_BEFORE = ("OMP", "GOMP", "KMP", "MKL", "OPENBLAS", "CUDA", "TORCH", "PYTORCH", "LD", "PYTHON")
SEEN = ("CUDA_VISIBLE_DEVICES",)  # but this is read when a job starts to use a GPU
COUNTS = ("OMP", "GOTO", "OPENBLAS", "MKL", "VECLIB_MAXIMUM", "NUMEXPR")

DESCRIPTORS = 253  # that Linux passes on at most


def start(threads: int) -> None:
    """Start a server for the jobs of this process, if it has none; it ends when this process does.

    `threads` is what Snakemake will set as the number of each job's threads. If no folder will have
    the server's socket, none is started, and each job loads the libraries itself.
    """
    import subprocess

    if ENVIRONMENT in os.environ:
        return
    try:
        listener, path = _listening()
    except OSError:
        return
    counts = {f"{name}_NUM_THREADS": str(threads) for name in COUNTS}
    alive, _ = os.pipe()  # its other end closes when this process ends, and not before
    with listener:
        subprocess.Popen(
            [sys.executable, "-m", __name__, path, str(listener.fileno())],
            stdin=alive,
            env=os.environ | counts,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # Ctrl-C is not for the server: the jobs are told of it
        )
    os.close(alive)
    os.environ[ENVIRONMENT] = path


def _listening() -> tuple[socket.socket, str]:
    """A socket in a new folder, and its path. Raises `OSError` if there is no place for it."""
    import tempfile

    try:
        return _listening_in(tempfile.mkdtemp(prefix="unlabel-"))
    except OSError:  # often as a socket's path has 107 bytes at most, and that of TMPDIR is long
        return _listening_in(tempfile.mkdtemp(prefix="unlabel-", dir="/tmp"))


def _listening_in(folder: str) -> tuple[socket.socket, str]:
    path = f"{folder}/socket"
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
        listener.listen(128)  # from now on jobs can ask, and wait until it has loaded
    except OSError:
        listener.close()
        Path(folder).rmdir()
        raise
    return listener, path


def ask(arguments: Sequence[str], held: Sequence[int] = ()) -> int | None:
    """Let a fork do the work; its exit status, or None if there is no server.

    The fork keeps open the files with the descriptors `held`, and so the locks on them.
    """
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(os.environ[ENVIRONMENT])
            here = {"folder": str(Path.cwd()), "environment": dict(os.environ)}
            socket.send_fds(server, [b"."], [0, 1, 2, *held])
            server.sendall(json.dumps({"arguments": arguments} | here).encode() + b"\n")
            answers = server.makefile()
            process = int(answers.readline())
        except (KeyError, OSError, ValueError):
            return None

        def pass_on(number: int, _: FrameType | None) -> None:
            with suppress(ProcessLookupError):
                os.kill(process, number)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, pass_on)
        try:
            status = int(answers.readline())
        except (OSError, ValueError):  # the server is gone, too
            status = -signal.SIGKILL
        if status < 0:
            print(f"error: the job {_end_by(-status)}", file=sys.stderr)
            return 128 - status
        return status


def _end_by(number: int) -> str:
    """What to say of a job that a signal has ended."""
    from unlabel.errors import LESS

    if number == signal.SIGKILL:
        return f"was killed (signal 9), most likely because memory ran out; {LESS}, and start again"
    name = signal.strsignal(number) or "unknown"
    return (
        f"ended by signal {number} ({name}), inside a library; "
        "start again, and if that comes again, report it with the job's log"
    )


def serve(listener: socket.socket) -> None:
    """Fork a process for each job, until standard input closes."""
    import gc
    import select
    import warnings

    # Python 3.12 warns of any second thread; pyarrow's allocator has one, and knows of forks
    warnings.filterwarnings("ignore", ".* multi-threaded, use of fork", DeprecationWarning)
    jobs: dict[int, socket.socket] = {}  # who asked for each fork that still works

    def tell(*_: Any) -> None:
        """Tell how a fork ended, if a signal has ended it: else it has said so itself."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                with suppress(KeyError, OSError), jobs.pop(ended[0]) as job:
                    if os.WIFSIGNALED(ended[1]):
                        job.sendall(f"-{os.WTERMSIG(ended[1])}\n".encode())

    signal.signal(signal.SIGCHLD, tell)
    began_with = _read_before(os.environ)  # libraries set some of these for those loaded later
    todo = [LIBRARIES, PAGES]  # pages' load while the first job, which needs none of them, works
    while True:
        for library in todo.pop(0) if todo else ():
            import_module(library)
        gc.freeze()  # otherwise the collector would touch, and so copy, every page in each fork
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        job, _ = listener.accept()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # until the fork is known
        if fork := os.fork():
            jobs[fork] = job
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
            continue
        for each in (listener, *jobs.values()):  # whoever asked for these would wait for this fork
            each.close()
        _work(job, began_with)


def _work(job: socket.socket, environment: Mapping[str, str]) -> NoReturn:
    """Be the process that was asked for, then end; unless the job needs other libraries' settings.

    `environment` is what the server's libraries have read.
    """
    status: int | str | None = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        _, streams, _, _ = socket.recv_fds(job, 1, DESCRIPTORS)
        asked = json.loads(job.makefile().readline())
        if _read_before(asked["environment"]) != environment:
            os._exit(0)  # without an answer
        for number, stream in enumerate(streams[:3]):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv = ["unlabel", *asked["arguments"]]
        job.sendall(f"{os.getpid()}\n".encode())
        _end_with(job)
        from unlabel.cli import main
        from unlabel.workflow.engine import wanted

        wanted.install()
        main(asked["arguments"])
        status = 0
    except SystemExit as ended:
        status = ended.code
        if isinstance(status, str):
            with suppress(OSError):  # the log's disk is full
                print(status, file=sys.stderr)
            status = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    for output in (sys.stdout, sys.stderr):
        with suppress(OSError):
            output.flush()
    with suppress(OSError):
        job.sendall(f"{status or 0}\n".encode())
    os._exit(0)  # taking torch down would take another while


def _end_with(job: socket.socket) -> None:
    """Be killed when the process that asked for the work is killed."""
    import threading

    def watch() -> None:
        with suppress(OSError):
            job.recv(1)  # nothing is ever sent: this ends when the other end closes
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _read_before(environment: Mapping[str, str]) -> dict[str, str]:
    names = {name for name in environment if name.startswith(READ_BEFORE)} - {*SEEN}
    return {name: environment[name] for name in names}


def _main() -> None:
    import shutil

    path, number = sys.argv[1:]
    try:
        with socket.socket(fileno=int(number)) as listener:
            serve(listener)
    finally:
        shutil.rmtree(Path(path).parent, ignore_errors=True)


if __name__ == "__main__":
    _main()
