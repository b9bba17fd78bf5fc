"""A set is read from a copy on this machine, made once; if there is none, from where it is."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from support.models import about, composed
from unlabel.cli import main
from unlabel.data import images, local_copy, nearby
from unlabel.data.images import Images
from unlabel.data.local_copy import install, local
from unlabel.errors import UserError
from unlabel.files import mounts
from unlabel.fingerprint import closure

COPIES = f"{local_copy.FOLDER}-{os.getuid()}"
CONTENT = bytes(range(256)) * 1000
# Another process that reads a file; a copy of one byte at a time takes long.
PROCESS = """
import sys
from pathlib import Path
from unlabel.data import local_copy
local_copy.BLOCK = int(sys.argv[2])
path = Path(sys.argv[1])
there = local_copy.local(path)
assert there.read_bytes() == path.read_bytes()
print(there)
"""


@pytest.fixture(autouse=True)
def tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A TMPDIR of this test's own, and the wish for a copy."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv(local_copy.ASKED, "true")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    yield tmp_path / "tmp"
    end()
    nearby.copies.clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "train.arrow"
    path.write_bytes(CONTENT)
    return path


def end() -> None:
    """As if this process had ended: it reads no copy any more."""
    while local_copy.held:
        local_copy.held.pop().close()


def reader(path: Path, block: int = 1 << 20) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROCESS, str(path), str(block)]
    return subprocess.Popen(command, stdout=-1, stderr=-1, text=True)


def until(true: Callable[[], bool]) -> None:
    late = time.monotonic() + 60
    while not true():
        assert time.monotonic() < late
        time.sleep(0.01)


def files(tmp: Path) -> list[Path]:
    """All copies, and parts of copies."""
    return sorted(each for each in (tmp / COPIES).iterdir() if each.suffix != ".lock")


def test_a_copy_is_made_once_and_used_again(source, tmp, capsys):
    copy = local(source)
    assert copy.read_bytes() == CONTENT
    assert files(tmp) == [copy]
    assert (tmp / COPIES).stat().st_mode & 0o777 == 0o700
    said = f"{source} is read from {copy}, a copy of 0 MB\n"
    assert capsys.readouterr().err == f"{source} is being copied to {copy.parent}\n" + said
    end()
    assert local(source) == copy
    assert capsys.readouterr().err == said


def test_nothing_is_copied_unless_asked_for(source, tmp, monkeypatch, capsys):
    assert local(tmp / "none") == tmp / "none"
    monkeypatch.setenv(local_copy.ASKED, "false")
    assert local(source) == source
    monkeypatch.delenv(local_copy.ASKED)
    assert local(source) == source
    assert (list(tmp.iterdir()), capsys.readouterr().err) == ([], "")
    install()
    assert nearby.copies == []
    monkeypatch.setenv(local_copy.ASKED, "yes")
    with pytest.raises(UserError, match="LOCAL_COPY is 'yes', but must be auto, true or false"):
        install()


@pytest.mark.parametrize(
    ("there", "here", "said"),
    [
        ("nfs4", "ext4", "a copy of"),
        ("ext4", "ext4", ""),
        ("nfs4", "nfs4", "tmp is on no disk of this machine (nfs4); set TMPDIR to a folder there"),
        ("lustre", "tmpfs", "tmp is on no disk of this machine (tmpfs); set TMPDIR"),
    ],
)
def test_by_itself_it_copies_from_a_network_to_a_disk(
    source, tmp, monkeypatch, capsys, there, here, said
):
    listed = tmp.parent / "mounts"
    places = {source.parent.resolve(): there, tmp.resolve(): here}
    lines = [f"1 1 0:1 / {place} rw - {kind} x rw" for place, kind in places.items()]
    listed.write_text("\n".join(lines))
    monkeypatch.setattr(mounts, "MOUNTS", listed)
    monkeypatch.setenv(local_copy.ASKED, "auto")
    copied = local(source) != source
    assert copied == (there == "nfs4" and here == "ext4")
    told = capsys.readouterr().err
    assert said in told
    assert bool(told) == bool(said)


def test_of_several_processes_one_copies_and_the_others_wait(source, tmp):
    copy = local(source)
    end()
    copy.rename(copy.with_name(f"{copy.name[:16]}.part"))  # as if its process had been killed
    with copy.with_name(f"{copy.name[:16]}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        readers = [reader(source) for _ in range(3)]
        for each in readers:
            assert each.stderr.readline().startswith("waiting for another process, which copies")
    said = [each.communicate(timeout=60) for each in readers]
    assert [out for out, _ in said] == [f"{copy}\n"] * 3
    assert sum("is being copied" in err for _, err in said) == 1
    assert files(tmp) == [copy]


def test_who_waited_for_a_copy_that_failed_does_not_try_again(source, tmp):
    (tmp / COPIES).mkdir(mode=0o700)
    local(source)
    end()
    (copy,) = files(tmp)
    copy.unlink()
    with copy.with_name(f"{copy.name[:16]}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waits = reader(source)
        assert "waiting" in waits.stderr.readline()
    out, err = waits.communicate(timeout=60)
    assert (out, files(tmp)) == (f"{source}\n", [])
    assert err == (
        f"{source} is read where it is, without a copy: another process has tried to make it\n"
    )


def test_what_a_killed_process_leaves_is_removed(source, tmp):
    source.write_bytes(CONTENT * 40)
    with reader(source, block=1) as slow:
        until(lambda: any(each.stat().st_size for each in tmp.glob("*/*.part")))
        slow.kill()
    assert slow.returncode == -signal.SIGKILL
    assert files(tmp) == [*tmp.glob("*/*.part")]
    other = local(Path(shutil.copy(source, source.with_name("other.arrow"))))
    assert files(tmp) == [other]
    assert local(source).read_bytes() == CONTENT * 40


def test_a_changed_set_is_copied_anew_and_its_old_copy_goes_when_nobody_reads_it(source, tmp):
    other = local(shutil.copy(source, source.with_name("other.arrow")))
    first = local(source)
    source.write_bytes(CONTENT[::-1])
    second = local(source)
    assert second.read_bytes() == CONTENT[::-1]
    assert files(tmp) == sorted([first, second, other])  # this process reads the first
    end()
    os.utime(source, (0, 0))
    third = local(source)
    assert files(tmp) == sorted([third, other])


def test_a_folder_that_others_have_a_hand_in_is_not_used(source, tmp, capsys):
    def refused(why: str) -> None:
        assert local(source) == source
        said = f"{source} is read where it is, without a copy: {why}; remove it, or set TMPDIR"
        assert capsys.readouterr().err.startswith(said)

    theirs = tmp / "theirs"
    theirs.mkdir(mode=0o700)
    (tmp / COPIES).symlink_to(theirs)
    refused(f"{tmp / COPIES} belongs to another user")
    (tmp / COPIES).unlink()
    theirs.rename(tmp / COPIES)
    (tmp / COPIES).chmod(0o777)
    refused(f"others may write to {tmp / COPIES}")
    (tmp / COPIES).chmod(0o700)
    if os.getuid() == 0:
        os.chown(tmp / COPIES, 12345, 12345)
        refused(f"{tmp / COPIES} belongs to another user")
    assert files(tmp) == []


@pytest.fixture
def disk(tmp: Path) -> Iterator[Path]:
    """A TMPDIR of a megabyte."""
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("needs to be root, to mount a small disk")
    yield tmp
    end()
    subprocess.run(["umount", "--lazy", tmp], check=True)


def test_copies_that_nobody_reads_make_room_for_others(source, disk, monkeypatch, capsys):
    source.write_bytes(CONTENT * 2)
    (other := source.with_name("other.arrow")).write_bytes(CONTENT * 3)
    copy = local(source)
    capsys.readouterr()
    assert local(other) == other
    assert "has room for 1 MB, but a copy needs 1 MB; set TMPDIR" in capsys.readouterr().err
    with monkeypatch.context() as patch:  # as if another program took the room meanwhile
        patch.setattr(local_copy, "ROOM", 0)
        assert local(other) == other
    assert capsys.readouterr().err.endswith("without a copy: No space left on device\n")
    assert files(disk) == [copy]
    end()
    copy = local(other)
    assert files(disk) == [copy] != [other]


def test_processes_that_train_together_do_not_wait_long(source, tmp, monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setattr(local_copy, "TOGETHER", 0.0)
    monkeypatch.setattr(local_copy, "LOOK", 0.0)
    assert local(source) == source
    assert "without a copy: it would take more than 0 minutes" in capsys.readouterr().err
    assert files(tmp) == []
    with next((tmp / COPIES).glob("*.lock")).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert local(source) == source
    assert "without a copy: another process is still making it" in capsys.readouterr().err


def test_how_copies_are_made_is_no_code_of_a_training():
    counts = closure(["unlabel.stage.pretrain"])
    assert "unlabel.data.nearby" in counts
    assert not counts & {"unlabel.data.local_copy", "unlabel.files.mounts"}


def test_a_training_has_the_same_bits_from_a_copy_and_beside_a_damaged_one(
    digits: Images, tmp_path: Path, tmp: Path, monkeypatch, capsys
):
    settings = composed("simclr") | {"run": "a run"}
    settings["hardware"] |= {"device": "cpu", "precision": "float32"}
    settings["training"] |= {"images": 120, "batch": 40, "epochs": 2}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    train = tmp_path / "train.arrow"
    images.write(train, digits, about(digits))

    def trained(name: str) -> list[bytes]:
        flags = {"params": tmp_path / "params.yaml", "train": train}
        flags |= {"state": tmp_path / "state", "out": tmp_path / name}
        main(["pretrain", *(word for k, v in flags.items() for word in (f"--{k}", str(v)))])
        end()
        made = ("encoder.safetensors", "method.safetensors", "log.parquet", "pictures.parquet")
        return [(tmp_path / name / each).read_bytes() for each in made]

    near = trained("near")
    (copy,) = files(tmp)
    assert f"{train} is read from {copy}, a copy of" in capsys.readouterr().err
    copy.write_bytes(copy.read_bytes()[:-2000] + bytes(2000))
    assert trained("beside") == near
    said = f"the copy {copy} is damaged, so {train} is read where it is"
    assert said in capsys.readouterr().err
    assert files(tmp) == []
    monkeypatch.setenv(local_copy.ASKED, "false")
    assert trained("far") == near
    assert "copy" not in capsys.readouterr().err
