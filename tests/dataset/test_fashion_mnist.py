"""Fashion-MNIST: found, fetched from mirrors, or one message says what was tried."""

import gzip
import hashlib
import socket
from pathlib import Path

import pytest
import torch
import torchvision

from support.prepared import LABELS, prepared, recipe
from support.server import served
from unlabel.data import download
from unlabel.dataset.fashion_mnist import FILES, FashionMNIST
from unlabel.errors import UserError


def test_fashion_mnist_is_prepared_with_the_recipe(fetched: Path, tmp_path: Path) -> None:
    splits = prepared(tmp_path, fetched, **recipe("fashion_mnist"))
    assert [data.size for _, data in splits] == [54_000, 6_000, 10_000]
    ids = torch.cat([split.id for split, _ in splits])
    assert ids.sort().values.tolist() == list(range(70_000))
    for split, data in splits:
        assert split.label.bincount().tolist() == [data.size // 10] * 10
        # The mean and deviation that everyone uses for it.
        assert data.mean == pytest.approx((0.2860,), abs=1e-3)
        assert data.std == pytest.approx((0.3530,), abs=1e-3)
    assert splits[0][1].classes == tuple(torchvision.datasets.FashionMNIST.classes)


def test_images_are_those_torchvision_reads(fetched: Path, tmp_path: Path) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(gzip.decompress((fetched / f"{name}.gz").read_bytes()))
    ours = FashionMNIST(root=str(tmp_path)).load(tmp_path / "raw")
    assert not (tmp_path / "raw").exists()
    for train, split in ((True, ours.train), (False, ours.test)):
        theirs = torchvision.datasets.FashionMNIST(tmp_path, train=train)
        assert torch.equal(split.image[:, 0], theirs.data)
        assert torch.equal(split.label, theirs.targets)


def test_files_fetched_for_one_recipe_serve_another(
    fetched: Path, tmp_path: Path, nowhere: str
) -> None:
    (tmp_path / "fashion_mnist").symlink_to(fetched)
    assert len(FashionMNIST().load(tmp_path / "fashion_mnist_rotated").train.id) == 60_000


def test_checksums_are_of_the_content_of_the_archives_torchvision_expects(fetched: Path) -> None:
    """The first archives carry a name and a time that Debian's lack; the rest is the same."""
    for name, md5 in torchvision.datasets.FashionMNIST.resources:
        archive = (fetched / name).read_bytes()
        if archive[3] == 0:
            time = 1504176606 if name.startswith("train") else 1504176627
            first = b"\x1f\x8b\x08\x08" + time.to_bytes(4, "little") + b"\x00\x03"
            archive = first + name.removesuffix(".gz").encode() + b"\x00" + archive[10:]
        assert hashlib.md5(archive).hexdigest() == md5


def test_mirrors_are_asked_in_turn(
    fetched: Path, tmp_path: Path, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has two files, of which one is cut short, the next has none, the last has all."""
    poor = tmp_path / "poor"
    poor.mkdir()
    names = [f"{name}.gz" for name in FILES]
    (poor / names[0]).write_bytes((fetched / names[0]).read_bytes())
    (poor / names[1]).write_bytes((fetched / names[1]).read_bytes()[:1000])
    raw = tmp_path / "raw"
    with served(poor) as first, served(tmp_path / "none") as second, served(fetched) as third:
        mirrors = [first, nowhere, second, third]
        monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", mirrors[:3])
        with pytest.raises(UserError, match="its checksum is wrong") as caught:
            FashionMNIST().load(raw)
        assert "HTTP Error 404" in str(caught.value)
        assert [path.name for path in raw.iterdir()] == [names[0]]
        monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", mirrors)
        FashionMNIST().load(raw)
    assert sorted(path.name for path in raw.iterdir()) == sorted(names)
    assert len(FashionMNIST().load(raw).train.id) == 60_000  # with no mirror any more


def test_a_server_that_never_answers_costs_little(
    tmp_path: Path, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ANSWER", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", [url])
        with pytest.raises(UserError, match=r"no answer in 0\.2 seconds"):
            FashionMNIST().load(tmp_path)


def test_one_message_says_all_that_was_tried(tmp_path: Path, nowhere: str) -> None:
    with pytest.raises(UserError) as caught:
        FashionMNIST(root=str(tmp_path / "mine")).load(tmp_path / "raw")
    message = str(caught.value)
    for part in (
        str(tmp_path / "mine"),
        f"torchvision's mirror {nowhere}: ",
        "Connection refused",
        "the Debian package dataset-fashion-mnist: there is no apt-get here",
        f"{LABELS} into {tmp_path / 'raw'}",
        "dataset=digits",
    ):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (LABELS, gzip.compress(bytes(10_008))),
        (LABELS, gzip.compress(bytes(10_008))[:20]),
        (LABELS, b"<html>sign in first</html>"),
        (LABELS, b""),
        (LABELS.removesuffix(".gz"), bytes(10_008)),
    ],
    ids=["wrong", "truncated", "a page", "empty", "unpacked"],
)
def test_a_damaged_file_is_named_and_left_alone(
    tmp_path: Path, nowhere: str, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"its checksum is wrong.*delete it") as caught:
        FashionMNIST().load(tmp_path)
    assert str(path) in str(caught.value)
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [(name, content)]


def test_one_flipped_bit_is_noticed(fetched: Path, tmp_path: Path, nowhere: str) -> None:
    archive = bytearray((fetched / LABELS).read_bytes())
    archive[len(archive) // 2] ^= 1
    (tmp_path / LABELS).write_bytes(archive)
    with pytest.raises(UserError, match="its checksum is wrong"):
        FashionMNIST().load(tmp_path)
