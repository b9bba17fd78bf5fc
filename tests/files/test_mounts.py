"""Which file system a file is on."""

from pathlib import Path

import pytest

from unlabel.files import mounts

SEEN = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 22 0:40 / /home rw - autofs systemd-1 rw,fd=41
41 22 0:41 /export /home rw,relatime shared:7 master:2 - nfs4 server:/export rw,vers=4.2
42 41 0:42 / /home/me/my\040disk rw - ext4 /dev/vdb rw
43 22 0:43 / /scratch rw - lustre 10.0.0.1@o2ib:/lustre rw
44 22 0:44 / /tmp rw - tmpfs tmpfs rw,size=1g
45 22 0:45 / /mnt/remote rw - fuse.sshfs me@server: rw
46 22 0:46 / /mnt/stick rw - fuseblk /dev/sdb rw
""".strip()


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/", "ext4", False),
        ("/homes/a", "ext4", False),
        ("/home/me/train.arrow", "nfs4", True),  # and not what mounts it when it is needed
        ("/home/me/my disk/train.arrow", "ext4", False),
        ("/scratch", "lustre", True),
        ("/tmp/a/b", "tmpfs", False),
        ("/mnt/remote/a", "fuse.sshfs", True),
        ("/mnt/stick/a", "fuseblk", False),
    ],
)
def test_the_last_mount_of_the_nearest_place_counts(path, kind, network):
    assert mounts.kind(Path(path), SEEN) == kind
    assert mounts.on_network(kind) == network


@pytest.mark.skipif(not mounts.MOUNTS.exists(), reason="the list of mounts is Linux's")
def test_the_system_says_where_its_own_files_are(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("/proc/self/status")
    assert mounts.here(tmp_path / "link") == "proc"
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "none")
    assert mounts.here(tmp_path / "link") == ""
