"""The kind of file system that a file is on."""

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = (
    *("nfs", "nfs4", "lustre", "beegfs", "gpfs", "ceph", "cifs", "smb3", "afs", "9p", "virtiofs"),
    *("panfs", "pvfs2", "wekafs", "fuse"),
)
MEMORY = ("tmpfs", "ramfs", "devtmpfs")


def kind(path: Path, mounts: str) -> str:
    """The type of file system at an absolute path, such as ext4, by the text of `MOUNTS`; or empty.

    Of several mounts at one place, the last one is what is seen.
    """
    found = {}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        # A space in a path is written \040.
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4])
        found[Path(point)] = after.split()[0]
    return next((found[each] for each in (path, *path.parents) if each in found), "")


def on_network(kind: str) -> bool:
    """Is a type of file system read over a network? `fuse.sshfs` and the like are."""
    return kind.partition(".")[0] in NETWORK


def here(path: Path) -> str:
    """The `kind` of a file of this machine; empty if the system does not say."""
    if not MOUNTS.exists():
        return ""
    return kind(path.resolve(), MOUNTS.read_text(encoding="utf-8", errors="surrogateescape"))
