"""Archives are read without unpacking them, and what leads out of them is refused."""

import gzip
import io
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from support.published import write_folder, write_tar, write_zip
from support.shelf import CONTENT, everything
from unlabel.data import archive
from unlabel.errors import UserError

LIMIT = 1 << 20


def tar_of(path: Path, *entries: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for entry in entries:
            archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, target, 4 * (kind == tarfile.REGTYPE)
    return made


def read_all(path: Path) -> dict[str, bytes]:
    return {member.name: member.read() for member in archive.members(path, LIMIT)}


@pytest.mark.parametrize("write", [write_tar, write_zip, write_folder])
def test_members_are_what_was_put_in(tmp_path: Path, write: Callable) -> None:
    files = {"a/one": b"1", "a/b/two": b"22" * 1000, "three": b""}
    suffix = ".zip" if write is write_zip else ""
    assert read_all(write(tmp_path / f"it{suffix}", files)) == files


OUTSIDE = ["../x", "/x", "a/../../x", "a/..", "..\\x", "C:\\x", "\\x"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("suffix", ["tgz", "zip"])
def test_a_name_that_leads_out_is_refused_and_nothing_is_written(
    tmp_path: Path, name: str, suffix: str
) -> None:
    path = tmp_path / "in" / f"it.{suffix}"
    path.parent.mkdir()
    (write_zip if suffix == "zip" else write_tar)(path, {"good": b"1", name: b"bad"})
    before = everything(tmp_path)
    with pytest.raises(UserError, match="which leads out of it; nothing was unpacked") as caught:
        read_all(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (entry("a/link", tarfile.SYMTYPE, "../../etc"), "a link that leads out of it"),
        (entry("link", tarfile.SYMTYPE, "/etc/passwd"), "a link that leads out of it"),
        (entry("a/link", tarfile.LNKTYPE, "../x"), "a link that leads out of it"),
        (entry("zero", tarfile.CHRTYPE), "is not a file"),
        (entry("disk", tarfile.BLKTYPE), "is not a file"),
        (entry("pipe", tarfile.FIFOTYPE), "is not a file"),
    ],
    ids=["up", "absolute", "hard", "character device", "block device", "pipe"],
)
def test_links_out_and_devices_are_refused(
    tmp_path: Path, made: tarfile.TarInfo, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read_all(tar_of(tmp_path / "it.tgz", entry("good"), made))


def test_a_link_that_stays_inside_is_passed_over(tmp_path: Path) -> None:
    links = [entry("a/b", tarfile.SYMTYPE, "../good"), entry("a/c", tarfile.LNKTYPE, "good")]
    assert read_all(tar_of(tmp_path / "it.tgz", entry("good"), *links)) == {"good": bytes(4)}


def test_a_zip_with_a_link_or_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive_:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive_.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match="'link', which is not a file"):
        read_all(tmp_path / "link.zip")
    content = bytearray(write_zip(tmp_path / "it.zip", {"secret": b"1"}).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "it.zip").write_bytes(content)
    with pytest.raises(UserError, match="'secret', which is encrypted"):
        read_all(tmp_path / "it.zip")


def bomb(path: Path, kind: str) -> Path:
    zeros = bytes(2 * LIMIT)
    if kind == "zip":
        return write_zip(path.with_suffix(".zip"), {"zeros": zeros})
    if kind == "many":
        return write_zip(
            path.with_suffix(".zip"), dict.fromkeys(map(str, range(64)), bytes(1 << 15))
        )
    if kind == "tar":
        return write_tar(path, {"zeros": zeros})
    large = entry("large")
    if kind == "header":
        large.pax_headers = {"comment": "0" * 2 * LIMIT}
        with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive_:
            archive_.addfile(large, io.BytesIO(bytes(4)))
        return path
    large.type, large.size = tarfile.GNUTYPE_SPARSE, 0
    header = bytearray(large.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % (2 * LIMIT)  # how large it is where it has been unpacked
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:512]) + 8 * 32)
    path.write_bytes(gzip.compress(bytes(header) + bytes(1024)))
    return path


@pytest.mark.parametrize("kind", ["zip", "many", "tar", "header", "sparse"])
def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, kind: str) -> None:
    path = bomb(tmp_path / "it.tgz", kind)
    assert path.stat().st_size < 50_000
    with pytest.raises(UserError, match=r"holds more than 1,048,576 bytes"):
        read_all(path)


@pytest.mark.parametrize("suffix", ["tgz", "zip"])
@pytest.mark.parametrize("keep", [0, 1, 40, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_one_sentence(tmp_path: Path, suffix: str, keep: float) -> None:
    path = tmp_path / f"it.{suffix}"
    (write_zip if suffix == "zip" else write_tar)(path, {"a": CONTENT, "b": CONTENT})
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(UserError, match="is cut short or damaged") as caught:
        read_all(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["tgz", "zip"])
def test_a_changed_archive_never_raises_anything_else(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"it.{suffix}"
    (write_zip if suffix == "zip" else write_tar)(path, {"a": b"x" * 500, "b/c": CONTENT[:500]})
    content, draw = path.read_bytes(), random.Random(0)
    for _ in range(300):
        changed = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        path.write_bytes(changed)
        with suppress(UserError):
            read_all(path)
