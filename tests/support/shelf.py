"""Files to be fetched, and an address at which nobody answers."""

import random
import socket
from pathlib import Path

CONTENT = random.Random(0).randbytes(100_000)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def nowhere() -> str:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}/some.bin"
