"""The files of the package, each read once: all that is said of them is of the same bytes."""

from functools import cache
from hashlib import sha256
from pathlib import Path


@cache
def read(path: Path) -> bytes:
    """The bytes of a file, as this process first saw them."""
    return path.read_bytes()


@cache
def digest(package: Path) -> str:
    """The same for equal bytes in all files of a package but strays."""
    hashed = sha256()
    for path in sorted(package.rglob("*")):
        inner = path.relative_to(package)
        if path.is_file() and not any(map(is_stray, inner.parts)):
            name, content = str(inner), read(path)
            hashed.update(f"{name} {len(content)}\n".encode() + content)
    return hashed.hexdigest()[:16]


def is_stray(name: str) -> bool:
    """Is a file or folder of this name no part of a package, but left by an editor or a system?"""
    return name.startswith((".", "#")) or name.endswith("~") or name == "__pycache__"
