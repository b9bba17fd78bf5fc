"""Lets a fork do the work of `python -m snakemake` and `python -m unlabel` in tests.

Python loads this file first if its folder is on PYTHONPATH. The two programs would take seconds to
load their libraries. So their process asks the tests' server (`support/forks.py`) for a fork, which
has loaded them. It passes signals on, and exits with the fork's status. If the process is killed,
the fork ends too. A stage in a workflow asks that workflow's own server, as it does outside tests.
"""

import os
import sys


def _ask(module: str, arguments: list[str]) -> int:
    """Let a fork do the work; its status."""
    import json
    import signal
    import socket
    from contextlib import suppress
    from pathlib import Path

    with socket.socket(socket.AF_UNIX) as server:
        server.connect(os.environ["UNLABEL_TEST_FORKS"])
        socket.send_fds(server, [b"."], [0, 1, 2])
        here = {"folder": str(Path.cwd()), "environment": dict(os.environ)}
        asked = {"module": module, "arguments": arguments, "direct": True}
        server.sendall(json.dumps(asked | here).encode() + b"\n")
        answers = server.makefile()
        fork = int(answers.readline())

        def pass_on(number: int, _: object) -> None:
            with suppress(ProcessLookupError):  # it has just ended
                # Slurm tells all processes of a job
                (os.killpg if "SLURM_JOB_ID" in os.environ else os.kill)(fork, number)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, pass_on)
        return int(answers.readline() or 128 + signal.SIGKILL)


match sys.orig_argv[1:]:
    case ["-m", "snakemake" as module, *rest]:
        os._exit(_ask(module, rest))
    case ["-m", "unlabel" as module, *rest] | ["-u", "-m", "unlabel" as module, *rest] if (
        "UNLABEL_FORK_SERVER" not in os.environ  # -u comes from torchrun
    ):
        os._exit(_ask(module, rest))
