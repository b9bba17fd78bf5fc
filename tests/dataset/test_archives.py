"""The field's datasets: fetched, found and read in their real formats, and nothing else is run."""

import gzip
import io
import os
import pickle
import random
import re
import socket
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
import yaml

from support import published
from support.harmful import Call
from support.project import project, snakemake
from support.published import cifar, write_folder, write_tar, write_zip
from support.server import Ranged, ranged, served
from unlabel.data import archive, cifar_pickle, images, matlab
from unlabel.data import download as fetch
from unlabel.data.decode import decode
from unlabel.data.download import File, Unavailable, download, obtain
from unlabel.dataset import Dataset, imagenette, stl10, svhn, tiny_imagenet
from unlabel.dataset._idx import IDX
from unlabel.dataset.cifar import CIFAR10, CIFAR100
from unlabel.dataset.imagenette import Imagenette
from unlabel.dataset.mnist import KMNIST, MNIST
from unlabel.dataset.stl10 import STL10
from unlabel.dataset.svhn import SVHN
from unlabel.dataset.tiny_imagenet import TinyImageNet
from unlabel.errors import UserError
from unlabel.stage import prepare

ROOT = Path(__file__).parents[2]
SPLITS = ("train", "validation", "test")
CONTENT = random.Random(0).randbytes(100_000)


def file(*urls: str, content: bytes = CONTENT, kind: str = "sha256") -> File:
    return File("some.bin", len(content), published.checksum(content, kind), urls)


def prepared(folder: Path, raw: Path, **recipe: object) -> list[bytes]:
    """The three files that the stage writes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump({"name": "mine", "dataset": recipe}))
    paths = [folder / f"{split}.arrow" for split in SPLITS]
    prepare.run(folder / "params.yaml", raw, *paths)
    return [path.read_bytes() for path in paths]


def recipe(name: str) -> dict[str, object]:
    return yaml.safe_load((ROOT / "params" / "dataset" / f"{name}.yaml").read_text())


def everything(folder: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def nowhere() -> str:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}/some.bin"


# Fetching


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder to be served."""
    return write_folder(tmp_path / "shelf", {"some.bin": CONTENT})


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_file_is_fetched_whole(shelf: Path, tmp_path: Path, kind: str) -> None:
    with served(shelf) as url:
        path = download(file(kind=kind), f"{url}some.bin", tmp_path / "raw")
    assert everything(tmp_path / "raw") == {str(path): CONTENT}


def test_a_connection_that_breaks_is_taken_up_where_it_broke(shelf: Path, tmp_path: Path) -> None:
    handler = ranged(cut=30_000)
    with served(shelf, handler) as url:
        path = download(file(), f"{url}some.bin", tmp_path / "raw")
    assert path.read_bytes() == CONTENT
    assert handler.asked == ["", "bytes=30000-", "bytes=60000-", "bytes=90000-"]


def test_what_an_earlier_try_has_left_is_not_fetched_again(shelf: Path, tmp_path: Path) -> None:
    handler = ranged(cut=10_000)
    with served(shelf, handler) as url:
        with pytest.raises(Unavailable, match=r"the connection broke after 50,000 of 100,000"):
            download(file(), f"{url}some.bin", tmp_path / "raw")
    assert (tmp_path / "raw" / "some.bin.partial").read_bytes() == CONTENT[:50_000]
    whole = ranged()
    with served(shelf, whole) as url:
        download(file(), f"{url}some.bin", tmp_path / "raw")
    assert whole.asked == ["bytes=50000-"]
    assert everything(tmp_path / "raw") == {str(tmp_path / "raw" / "some.bin"): CONTENT}


@pytest.mark.parametrize(
    ("left", "asked"),
    [
        (bytes(40_000), ["bytes=40000-", ""]),  # of another file
        (CONTENT, ["bytes=100000-", ""]),  # killed before it was renamed
        (bytes(100_000), ["bytes=100000-", ""]),
    ],
    ids=["wrong", "whole", "as long"],
)
def test_a_left_part_is_no_harm(shelf: Path, tmp_path: Path, left: bytes, asked: list[str]) -> None:
    raw = write_folder(tmp_path / "raw", {"some.bin.partial": left})
    handler = ranged()
    with served(shelf, handler) as url:
        download(file(), f"{url}some.bin", raw)
    assert everything(raw) == {str(raw / "some.bin"): CONTENT}
    assert handler.asked == asked


def test_a_server_that_knows_no_parts_is_asked_for_all(shelf: Path, tmp_path: Path) -> None:
    raw = write_folder(tmp_path / "raw", {"some.bin.partial": bytes(40_000)})
    with served(shelf) as url:
        download(file(), f"{url}some.bin", raw)
    assert everything(raw) == {str(raw / "some.bin"): CONTENT}


def test_many_at_once_fetch_it_once(shelf: Path, tmp_path: Path) -> None:
    handler, paths = ranged(), []
    with served(shelf, handler) as url:

        def run() -> None:
            paths.append(download(file(), f"{url}some.bin", tmp_path / "raw"))

        threads = [threading.Thread(target=run) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert handler.asked == [""]
    assert len(paths) == 5
    assert everything(tmp_path / "raw") == {str(paths[0]): CONTENT}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT[:-1], "its checksum is wrong"),
        (CONTENT[:-1] + b"x", "its checksum is wrong"),
        (CONTENT + b"x", "it is larger than 100,000 bytes"),
        (b"", "its checksum is wrong"),
    ],
    ids=["short", "changed", "long", "empty"],
)
def test_a_wrong_file_is_not_kept(tmp_path: Path, content: bytes, message: str) -> None:
    shelf = write_folder(tmp_path / "shelf", {"some.bin": content})
    with served(shelf) as url:
        with pytest.raises(Unavailable, match=message):
            download(file(), f"{url}some.bin", tmp_path / "raw")
    assert everything(tmp_path / "raw") == {}


def test_a_server_that_trickles_is_given_up(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "PATIENCE", 0)
    monkeypatch.setattr(fetch, "SLOWEST", 1e12)
    with served(shelf) as url:
        with pytest.raises(Unavailable, match="less than .* bytes per second"):
            download(file(), f"{url}some.bin", tmp_path / "raw")


def test_another_part_than_was_asked_for_is_refused(shelf: Path, tmp_path: Path) -> None:
    class Wrong(Ranged):
        asked: list[str] = []

        def send_header(self, keyword: str, value: str) -> None:
            super().send_header(keyword, value.replace("bytes 4", "bytes 5"))

    raw = write_folder(tmp_path / "raw", {"some.bin.partial": CONTENT[:40_000]})
    with served(shelf, Wrong) as url:
        with pytest.raises(Unavailable, match="another part than we asked for"):
            download(file(), f"{url}some.bin", raw)
    assert everything(raw) == {str(raw / "some.bin.partial"): CONTENT[:40_000]}


def test_addresses_are_asked_in_turn_and_a_copy_first(shelf: Path, tmp_path: Path) -> None:
    raw, mine = tmp_path / "raw", tmp_path / "mine"
    with served(shelf) as url:
        urls = (nowhere(), f"{url}none.bin", f"{url}some.bin")
        assert obtain("Some", file(*urls), raw, [raw, mine]) == raw / "some.bin"
        write_folder(mine, {"some.bin": CONTENT})
        assert obtain("Some", file(nowhere()), tmp_path / "new", [mine]) == mine / "some.bin"
    assert not (tmp_path / "new").exists()


def test_one_message_says_all_that_was_tried(shelf: Path, tmp_path: Path) -> None:
    places = [tmp_path / "raw", tmp_path / "mine"]
    with served(shelf) as url:
        urls = (nowhere(), f"{url}none.bin")
        with pytest.raises(UserError) as caught:
            obtain("Some", file(*urls), places[0], places)
    message = str(caught.value)
    for part in (
        "Some cannot be had. some.bin is not in",
        *map(str, places),
        f"{urls[0]}: ",
        "Connection refused",
        f"{urls[1]}: HTTP Error 404",
        f"Put some.bin into {tmp_path / 'raw'}",
        "`root`",
        "dataset=digits",
    ):
        assert part in message
    assert "\n" not in message


def test_a_damaged_copy_is_named_and_left_alone(tmp_path: Path) -> None:
    mine = write_folder(tmp_path / "mine", {"some.bin": CONTENT[:-1]})
    with pytest.raises(UserError, match=r"mine/some\.bin is not the file .* checksum is wrong"):
        obtain("Some", file(nowhere()), tmp_path / "raw", [mine])
    assert everything(tmp_path) == {str(mine / "some.bin"): CONTENT[:-1]}


# Archives

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


# What Python has pickled


def test_a_batch_is_read_as_python_reads_it() -> None:
    for name, batch in cifar(10)[1].items():
        assert batch.startswith(b"\x80\x02}")
        assert b"cnumpy.core.multiarray\n_reconstruct" in batch
        theirs = pickle.loads(batch, encoding="bytes")
        ours = cifar_pickle.read(batch)
        array = ours.pop(b"data")
        expected = theirs.pop(b"data")
        assert (array.shape, array.type) == (expected.shape, "u1"), name
        assert array.content == expected.tobytes()
        assert ours == theirs


def hostile(marker: Path) -> dict[str, bytes]:
    touch = f"touch {marker}"
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    return {
        "a call": pickle.dumps({"data": Call(os.system, touch)}, protocol=2),
        "a call in today's protocol": pickle.dumps({b"data": Call(os.system, touch)}),
        "a call in protocol 0": pickle.dumps(Call(os.system, touch), protocol=0),
        "eval": pickle.dumps([Call(eval, code)], protocol=2),
        "an instance": f"(S'{touch}'\nios\nsystem\n.".encode(),
        "an object": b"(cos\nsystem\n" + f"S'{touch}'\no.".encode(),
        "a codec": pickle.dumps(Call(__import__("codecs").encode, "x", "rot13"), protocol=2),
        "a name within a name": b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__class__\x93.",
        "numpy's loader": pickle.dumps(Call(np.load, str(marker))),
        "an extension": b"\x80\x02\x82\x01.",
        "a persistent name": b"Pos.system\n.",
        "a list": pickle.dumps([1, 2]),
        "objects in an array": pickle.dumps({b"data": np.array([Call(os.system, touch)])}, 2),
        "nothing": b"",
        "a huge memo": b"\x80\x02}r\xff\xff\xff\xff.",
        "a memo that memory could just hold": b"\x80\x02}r\xff\xff\xff\x0f.",
        "a huge array of bytes": b"\x80\x05\x96\0\0\0\x80\x02\0\0\0.",
        "a huge string": b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.",
    }


@pytest.mark.parametrize("name", hostile(Path()))
def test_a_hostile_batch_is_refused_and_calls_nothing(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "called"
    with pytest.raises(cifar_pickle.Refused):
        cifar_pickle.read(hostile(marker)[name])
    assert not marker.exists()


def test_the_hostile_batches_are_hostile(tmp_path: Path) -> None:
    """Read as Python reads them, they do what they are to be kept from."""
    for name in ("a call", "a call in protocol 0", "eval", "an instance", "an object"):
        marker = tmp_path / name.replace(" ", "-")
        pickle.loads(hostile(marker)[name])
        assert marker.exists(), name


def test_a_damaged_batch_is_refused_or_plain() -> None:
    batch, draw = cifar(10, each=2)[1]["test_batch"], random.Random(0)
    for size in (0, 1, 2, 50, 100, len(batch) // 2, len(batch) - 1):
        with pytest.raises(cifar_pickle.Refused):
            cifar_pickle.read(batch[:size])
    for _ in range(500):
        changed = bytearray(batch)
        changed[draw.randrange(200)] = draw.randrange(256)
        with suppress(cifar_pickle.Refused):
            cifar_pickle.read(bytes(changed))


# The datasets


class Small(NamedTuple):
    """A dataset in its real format, but small."""

    kind: type[Dataset]
    forms: dict[str, dict[str, bytes]]  # what may be below `root`: each is enough alone
    fetched: str  # the form that is fetched


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def known(file: File, content: bytes, url: str) -> File:
    """`file`, were this what its makers had published, and this the address."""
    kind = "md5" if len(file.checksum) == 32 else "sha256"
    return File(file.name, len(content), published.checksum(content, kind), (f"{url}{file.name}",))


def small_cifar(kind: type[CIFAR10], patch: Callable, tmp: Path, url: str) -> Small:
    binary, python = cifar(len(kind.classes))
    packed, theirs = kind.packed, getattr(torchvision.datasets, kind.torchvision)
    inside = below(packed.folder, binary | {"readme.html": b"<html>"})
    archive_ = write_tar(tmp / "binary.tar.gz", inside).read_bytes()
    sums = {name: published.checksum(content) for name, content in binary.items()}
    train = {name: value for name, value in sums.items() if not name.startswith("test")}
    test = {name: value for name, value in sums.items() if name.startswith("test")}
    file = known(packed.archive, archive_, url)
    patch(kind, "packed", packed._replace(archive=file, train=train, test=test))
    meta = theirs.meta["filename"]
    python[meta] = published.pickled({theirs.meta["key"]: list(kind.classes)})
    python_archive = write_tar(tmp / "python.tar.gz", below(theirs.base_folder, python))
    md5 = {name: published.checksum(content, "md5") for name, content in python.items()}
    for names in ("train_list", "test_list"):
        patch(theirs, names, [[name, md5[name]] for name, _ in getattr(theirs, names)])
    patch(theirs, "meta", theirs.meta | {"md5": md5[meta]})
    patch(theirs, "tgz_md5", published.checksum(python_archive.read_bytes(), "md5"))
    forms = {
        "archive": {packed.archive.name: archive_},
        "folder": below(packed.folder, binary),
        "python archive": {theirs.filename: python_archive.read_bytes()},
        "python folder": below(theirs.base_folder, python),
    }
    return Small(kind, forms, "archive")


def small_stl10(patch: Callable, tmp: Path, url: str) -> Small:
    sizes = {"train": 40, "unlabeled": 60, "test": 20}
    files = published.stl10(*sizes.values())
    archive_ = write_tar(tmp / "it.tar.gz", below(stl10.FOLDER, files)).read_bytes()
    patch(stl10, "SIZES", sizes)
    patch(stl10, "ARCHIVE", known(stl10.ARCHIVE, archive_, url))
    md5 = {name: published.checksum(files[name], "md5") for name in stl10.FILES}
    patch(stl10, "FILES", md5)
    theirs = torchvision.datasets.STL10
    for names in ("train_list", "test_list"):
        patch(theirs, names, [[name, md5[name]] for name, _ in getattr(theirs, names)])
    forms = {"archive": {stl10.ARCHIVE.name: archive_}, "folder": below(stl10.FOLDER, files)}
    return Small(STL10, forms, "archive")


def small_svhn(patch: Callable, tmp: Path, url: str) -> Small:
    files, lists = {}, {}
    for split, size in (("train", 60), ("extra", 40), ("test", 20)):
        name = svhn.FILES[split].name
        files[name] = published.svhn(size, size)
        patch(svhn, "FILES", svhn.FILES | {split: known(svhn.FILES[split], files[name], url)})
        lists[split] = ["", name, published.checksum(files[name], "md5")]
    patch(torchvision.datasets.SVHN, "split_list", lists)
    return Small(SVHN, {"folder": files}, "folder")


def small_idx(kind: type[IDX], patch: Callable, tmp: Path, url: str) -> Small:
    files = published.idx(60, 20)
    archives = published.gzipped(files)
    numbers = {}
    for name, was in kind.files.items():
        shape = (60 if name.startswith("train") else 20, *was.shape[1:])
        content = published.checksum(files[name]) if was.content else ""
        packed = published.checksum(archives[f"{name}.gz"]) if was.archive else ""
        numbers[name] = was._replace(shape=shape, content=content, archive=packed)
    patch(kind, "files", numbers)
    patch(getattr(torchvision.datasets, kind.torchvision), "mirrors", [url])
    forms = {
        "archives": archives,
        "torchvision's": below(f"{kind.torchvision}/raw", files | archives),
    }
    if kind is MNIST:
        forms["unpacked"] = files
    return Small(kind, forms, "archives")


def small_imagenette(patch: Callable, tmp: Path, url: str) -> Small:
    sizes, files = {"train": 40, "val": 20}, {"noisy_imagenette.csv": b"path\n"}
    for split, size in sizes.items():
        for number in range(size):
            name = [*imagenette.CLASSES][number % 10]
            shape = (160 + number, 160) if number % 2 else (160, 160 + number)
            mode = "L" if number == 3 else "RGB"
            files[f"{split}/{name}/{split}_{number}.JPEG"] = published.jpeg(number, *shape, mode)
    shuffled = random.Random(0).sample(sorted(files), len(files))
    inside = below("imagenette2-160", {name: files[name] for name in shuffled})
    archive_ = write_tar(tmp / "it.tgz", inside).read_bytes()
    patch(imagenette, "SIZES", sizes)
    file = known(imagenette.ARCHIVES[160], archive_, url)
    patch(imagenette, "ARCHIVES", imagenette.ARCHIVES | {160: file})
    return Small(Imagenette, {"archive": {file.name: archive_}, "folder": inside}, "archive")


def small_tiny_imagenet(patch: Callable, tmp: Path, url: str) -> Small:
    wnids = ["n02", "n01", "n03", "n04"]
    files = {
        "wnids.txt": "\n".join(wnids).encode(),
        "words.txt": b"n01\tcrane\nn02\tbus, coach\nn03\tcrane, machine\nn04\tox\nn05\tcat\n",
        "val/val_annotations.txt": b"",
        "test/images/test_0.JPEG": published.jpeg(99, 64, 64),
    }
    for number in range(40):
        name = wnids[number % 4]
        files[f"train/{name}/images/{name}_{number}.JPEG"] = published.jpeg(number, 64, 64)
        files[f"train/{name}/{name}_boxes.txt"] = b"0"
    for number in range(20):
        mode = "L" if number == 3 else "RGB"
        files[f"val/images/val_{number}.JPEG"] = published.jpeg(50 + number, 64, 64, mode)
        line = f"val_{number}.JPEG\t{wnids[number * 3 % 4]}\t0\t0\t62\t62\n"
        files["val/val_annotations.txt"] += line.encode()
    inside = below(tiny_imagenet.FOLDER, files)
    archive_ = write_zip(tmp / "it.zip", inside).read_bytes()
    patch(tiny_imagenet, "TRAIN", 40)
    patch(tiny_imagenet, "TEST", 20)
    patch(tiny_imagenet, "ARCHIVE", known(tiny_imagenet.ARCHIVE, archive_, url))
    forms = {"archive": {tiny_imagenet.ARCHIVE.name: archive_}, "folder": inside}
    return Small(TinyImageNet, forms, "archive")


SMALL: dict[str, Callable[[Callable, Path, str], Small]] = {
    "cifar10": partial(small_cifar, CIFAR10),
    "cifar100": partial(small_cifar, CIFAR100),
    "stl10": small_stl10,
    "svhn": small_svhn,
    "mnist": partial(small_idx, MNIST),
    "kmnist": partial(small_idx, KMNIST),
    "imagenette": small_imagenette,
    "tiny_imagenet": small_tiny_imagenet,
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], Small]:
    """Makes a small dataset, which is then taken for the published one."""
    return lambda name, url="": SMALL[name](monkeypatch.setattr, tmp_path, url)


@pytest.mark.parametrize("name", SMALL)
def test_each_is_fetched_found_and_prepared_to_the_same_bytes(
    name: str, small: Callable, tmp_path: Path
) -> None:
    shelf = tmp_path / "shelf"
    with served(shelf) as url:
        made = small(name, url)
        write_folder(shelf, made.forms[made.fetched])
        raw = tmp_path / "raw" / name
        fetched = prepared(tmp_path / "fetched", raw, **recipe(name))
    assert set(everything(raw)) <= {str(raw / file) for file in made.forms[made.fetched]}
    for form, files in made.forms.items():
        for where in ("root", "raw"):
            root = write_folder(tmp_path / form / where, files)
            settings = recipe(name) | ({"root": str(root)} if where == "root" else {})
            empty = tmp_path / "none" / name
            found = prepared(
                tmp_path / form / f"in {where}", empty if where == "root" else root, **settings
            )
            assert found == fetched, (form, where)
            assert everything(root) == {str(root / k): v for k, v in files.items()}
        assert not empty.exists()
    splits = [images.read(tmp_path / "fetched" / f"{split}.arrow") for split in SPLITS]
    ids = torch.cat([split.id for split, _ in splits])
    assert len(ids.unique()) == len(ids)
    for split, data in splits:
        assert data.source
        assert len(data.sha256) >= 1
        assert split.label.max() < len(data.classes)


@pytest.mark.parametrize("name", SMALL)
def test_no_network_is_one_sentence(name: str, small: Callable, tmp_path: Path) -> None:
    made = small(name, nowhere().removesuffix("some.bin"))
    raw = tmp_path / "raw" / name
    with pytest.raises(UserError) as caught:
        made.kind(root=str(tmp_path / "mine")).load(raw)
    message = str(caught.value)
    for part in ("cannot be had", "Connection refused", str(tmp_path / "mine"), f"into {raw}"):
        assert part in message
    assert "\n" not in message
    assert everything(tmp_path / "raw") == {}


@pytest.mark.parametrize("name", SMALL)
def test_a_damaged_copy_is_one_sentence_and_left_alone(
    name: str, small: Callable, tmp_path: Path
) -> None:
    made = small(name, nowhere().removesuffix("some.bin"))
    for form, files in made.forms.items():
        for damage in ("cut short", "changed"):
            root = write_folder(tmp_path / form / damage, files)
            file = max((each for each in root.rglob("*") if each.is_file()), key=size_of)
            content = file.read_bytes()
            changed = bytearray(content)
            changed[len(content) // 2] ^= 1
            file.write_bytes(content[: len(content) // 2] if damage == "cut short" else changed)
            before = everything(root)
            unchecked = name in ("imagenette", "tiny_imagenet") and form == "folder"
            if unchecked and damage == "changed":
                continue  # nobody published the checksums of unpacked images
            with pytest.raises(UserError) as caught:
                made.kind(root=str(root)).load(tmp_path / "raw" / name)
            assert str(root) in str(caught.value), (form, damage)
            assert "\n" not in str(caught.value)
            assert everything(root) == before


def size_of(path: Path) -> int:
    return path.stat().st_size


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "stl10", "imagenette", "tiny_imagenet"])
def test_a_folder_that_lacks_a_file_is_named(name: str, small: Callable, tmp_path: Path) -> None:
    made = small(name, nowhere().removesuffix("some.bin"))
    for form, files in made.forms.items():
        if form.endswith("folder"):
            lacking = max(
                each for each in files if re.search(r"val/|test(_batch|_X)?(\.bin)?$", each)
            )
            kept = {k: v for k, v in files.items() if k != lacking}
            root = write_folder(tmp_path / form, kept)
            with pytest.raises(UserError, match="has no|were published") as caught:
                made.kind(root=str(root)).load(tmp_path / "raw" / name)
            assert str(root) in str(caught.value)


# What is in them


def theirs_of(kind: type, root: Path, **settings: object) -> tuple[torch.Tensor, torch.Tensor]:
    """What torchvision reads: images (N, C, H, W) and labels (N,)."""
    dataset = kind(root, **settings)
    pairs = [dataset[i] for i in range(len(dataset))]
    image = [torch.from_numpy(np.array(each)) for each, _ in pairs]
    channels = [each[None] if each.dim() == 2 else each.permute(2, 0, 1) for each in image]
    return torch.stack(channels), torch.tensor([label for _, label in pairs])


@pytest.mark.parametrize(
    ("name", "kind", "splits"),
    [
        ("cifar10", "CIFAR10", ({"train": True}, {"train": False})),
        ("cifar100", "CIFAR100", ({"train": True}, {"train": False})),
        ("mnist", "MNIST", ({"train": True}, {"train": False})),
        ("kmnist", "KMNIST", ({"train": True}, {"train": False})),
        ("stl10", "STL10", ({"split": "train+unlabeled"}, {"split": "test"})),
        ("svhn", "SVHN", ({"split": "train"}, {"split": "test"})),
    ],
)
def test_images_are_those_torchvision_reads(
    name: str, kind: str, splits: tuple[dict, ...], small: Callable, tmp_path: Path
) -> None:
    made = small(name)
    for files in made.forms.values():
        write_folder(tmp_path / "root", files)
    ours = made.kind(root=str(tmp_path / "root")).load(tmp_path / "raw")
    for split, settings in zip((ours.train, ours.test), splits, strict=True):
        image, label = theirs_of(getattr(torchvision.datasets, kind), tmp_path / "root", **settings)
        assert torch.equal(split.image, image)
        assert torch.equal(split.label, label)
    if name.startswith("cifar"):
        assert list(ours.classes) == getattr(torchvision.datasets, kind)(tmp_path / "root").classes


def test_imagenette_is_what_torchvision_reads(small: Callable, tmp_path: Path) -> None:
    made = small("imagenette")
    files = made.forms["folder"]
    root = write_folder(tmp_path / "root", files)
    ours = made.kind(root=str(root), size=96).load(tmp_path / "raw")
    for split, name in ((ours.train, "train"), (ours.test, "val")):
        theirs = torchvision.datasets.Imagenette(root, split=name, size="160px")
        assert [label for _, label in theirs._samples] == split.label.tolist()
        assert tuple(each[0] for each in theirs.classes) == ours.classes
        for row, (path, _) in enumerate(theirs._samples):
            pixels = decode(Path(path).read_bytes(), (3, 96, 96))
            assert torch.equal(split.image[row], torch.from_numpy(pixels))
    assert ours.train.image.shape == (40, 3, 96, 96)


def test_imagenette_takes_the_archive_that_is_large_enough(small: Callable, tmp_path: Path) -> None:
    made = small("imagenette", nowhere().removesuffix("some.bin"))
    write_folder(tmp_path / "raw", made.forms["archive"])
    assert made.kind(size=160).load(tmp_path / "raw").train.image.shape[2:] == (160, 160)
    assert imagenette.ARCHIVES[320].name == "imagenette2-320.tgz"
    large = imagenette.ARCHIVES | {
        320: imagenette.ARCHIVES[320]._replace(urls=(nowhere(),)),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imagenette, "ARCHIVES", large)
        with pytest.raises(UserError, match=r"imagenette2-320\.tgz is not in"):
            made.kind(size=161).load(tmp_path / "raw")
    for size in (0, 321):
        with pytest.raises(UserError, match=f"dataset.size is {size}, but must be from 1 to 320"):
            Imagenette(size=size)


def test_tiny_imagenets_labels_are_its_annotations(small: Callable, tmp_path: Path) -> None:
    made = small("tiny_imagenet")
    files = made.forms["folder"]
    ours = made.kind(root=str(write_folder(tmp_path / "root", files))).load(tmp_path / "raw")
    assert ours.classes == ("crane (n01)", "bus", "crane (n03)", "ox")
    assert (len(ours.train.id), len(ours.test.id)) == (40, 20)
    wnids = ["n02", "n01", "n03", "n04"]
    for number in range(20):
        encoded = files[f"tiny-imagenet-200/val/images/val_{number}.JPEG"]
        pixels = torch.from_numpy(decode(encoded, (3, 64, 64)))
        row = next(i for i, image in enumerate(ours.test.image) if torch.equal(image, pixels))
        assert sorted(wnids)[ours.test.label[row]] == wnids[number * 3 % 4]


def test_extra_house_numbers_and_unlabelled_images_can_be_had_or_not(
    small: Callable, tmp_path: Path
) -> None:
    numbers, pictures = small("svhn"), small("stl10")
    root = write_folder(tmp_path / "root", numbers.forms["folder"] | pictures.forms["folder"])
    plain, extra = (SVHN(root=str(root), extra=each).load(tmp_path / "raw") for each in (0, 1))
    assert (len(plain.train.id), len(extra.train.id)) == (60, 100)
    assert torch.equal(extra.train.image[:60], plain.train.image)
    assert torch.equal(extra.test.id, plain.test.id)
    image, label = theirs_of(torchvision.datasets.SVHN, root, split="extra")
    assert torch.equal(extra.train.image[60:], image)
    assert torch.equal(extra.train.label[60:], label)
    labelled, every = (
        STL10(root=str(root), unlabelled=each).load(tmp_path / "raw") for each in (False, True)
    )
    assert (len(labelled.train.id), len(every.train.id)) == (40, 100)
    assert every.train.label[40:].tolist() == [-1] * 60
    assert torch.equal(every.train.id[:40], labelled.train.id)
    assert torch.equal(every.test.id, labelled.test.id)


@pytest.mark.parametrize("form", ["python archive", "python folder"])
def test_a_hostile_copy_of_cifar_is_refused(
    form: str, small: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if its checksum were right."""
    made = small("cifar10")
    theirs = torchvision.datasets.CIFAR10
    batch = hostile(tmp_path / "called")["a call"]
    files = made.forms["python folder"] | {f"{theirs.base_folder}/data_batch_1": batch}
    root = write_folder(tmp_path / "root", files)
    if form == "python archive":
        packed = write_tar(tmp_path / "packed.tgz", files).read_bytes()
        root = write_folder(tmp_path / "packed", {theirs.filename: packed})
        monkeypatch.setattr(theirs, "tgz_md5", published.checksum(packed, "md5"))
    with pytest.raises(
        UserError,
        match="is not the file that was published"
        if "fold" in form
        else r"data_batch_1 is not a batch of CIFAR-10: it names posix\.system",
    ):
        CIFAR10(root=str(root)).load(tmp_path / "raw")
    md5 = {"data_batch_1": published.checksum(batch, "md5")}
    monkeypatch.setattr(
        theirs, "train_list", [[name, md5.get(name, right)] for name, right in theirs.train_list]
    )
    with pytest.raises(
        UserError, match=r"data_batch_1 is not a batch of CIFAR-10: it names posix\."
    ):
        CIFAR10(root=str(root)).load(tmp_path / "raw")
    assert not (tmp_path / "called").exists()


def test_a_file_of_house_numbers_that_holds_something_else_is_refused(
    small: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scipy.io import savemat

    small("svhn")
    for number, content in enumerate(
        (
            {"y": np.ones((3, 1))},
            {"X": np.zeros((32, 32, 3, 3)), "y": np.ones((3, 1))},
            {"X": np.zeros((32, 32, 3, 3), np.uint8), "y": np.ones((4, 1))},
            {"X": np.array([{"a": 1}]), "y": np.ones((3, 1))},
        )
    ):
        out = io.BytesIO()
        savemat(out, content)
        root = write_folder(tmp_path / str(number), {"train_32x32.mat": out.getvalue()})
        file = known(svhn.FILES["train"], out.getvalue(), "")
        with pytest.raises(UserError, match=r"train_32x32\.mat is not a file of SVHN"):
            svhn._images(root / file.name, 0)


def test_matlab_files_are_read_as_scipy_does(tmp_path: Path) -> None:
    from scipy.io import loadmat, savemat

    path = tmp_path / "some.mat"
    numbers = {"a": np.arange(24.0).reshape(2, 3, 4), "b": np.int16([[-3, 300]]), "of8": [[2**40]]}
    others = {"text": "text", "complex": np.array([[1j]]), "cell": np.array([[{"a": 1}]], object)}
    for packed in (False, True):
        savemat(path, numbers | others, do_compression=packed)
        ours, theirs = matlab.read(path, 1000), loadmat(path)
        assert list(ours) == list(numbers)
        for name, array in ours.items():
            assert array.dtype == theirs[name].dtype
            assert np.array_equal(array, theirs[name])
    with pytest.raises(ValueError, match="more than 100 bytes"):
        matlab.read(path, 100)


def test_damaged_house_numbers_are_one_sentence_or_the_same(tmp_path: Path) -> None:
    path, whole, rng = tmp_path / "train_32x32.mat", published.svhn(0, 6), random.Random(0)
    path.write_bytes(whole)
    right = svhn._images(path, 0)
    refused = 0
    for place in rng.sample(range(len(whole)), 200):
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]
        )
        try:
            found = svhn._images(path, 0)
        except UserError as error:
            refused += bool(
                re.fullmatch(r".*mat is not a file of SVHN \(.+\); delete it, .*", str(error))
            )
        else:  # a byte of the text at the beginning, say
            assert all(map(torch.equal, found, right))
    assert refused > 150


# The workflow

STUDY = {
    "title": "Test",
    "question": "Does it work?",
    "datasets": ["cifar10"],
    "methods": ["random", "simclr"],
    "seeds": [0],
    "metric": "linear",
}


def test_a_study_is_built_on_a_fetched_dataset(tmp_path: Path) -> None:
    """A small CIFAR-10, whose checksum and address stand in the copy of the loader."""
    binary = cifar(10, each=100)[0]
    packed = CIFAR10.packed
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    content = write_tar(shelf / packed.archive.name, below(packed.folder, binary)).read_bytes()
    folder = project(tmp_path / "copy", STUDY)
    loader = folder / "ssl/unlabel/dataset/cifar.py"
    with served(shelf) as url:
        text = loader.read_text().replace("https://www.cs.toronto.edu/~kriz/", url)
        loader.write_text(text.replace(packed.archive.checksum, published.checksum(content)))
        snakemake(folder, "--cores", "2")
    assert (folder / "data/raw/cifar10" / packed.archive.name).read_bytes() == content
    train, data = images.read(folder / "data/prepared/cifar10/train.arrow")
    assert (data.shape, data.classes, len(train.id)) == ((3, 32, 32), CIFAR10.classes, 450)
    results = pd.read_parquet(folder / "reports/results.parquet")
    assert set(results.dataset) == {"cifar10"}
    assert set(results.method) == {"random", "simclr"}
    assert "Nothing to be done" in snakemake(folder, "-n")
