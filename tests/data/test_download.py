"""Files are fetched whole, from wherever they are, and checked."""

import threading
from pathlib import Path

import pytest

from support import published
from support.published import write_folder
from support.server import Ranged, ranged, served
from support.shelf import CONTENT, everything, nowhere
from unlabel.data import download as fetch
from unlabel.data.download import File, Unavailable, download, obtain
from unlabel.errors import UserError


def file(*urls: str, content: bytes = CONTENT, kind: str = "sha256") -> File:
    return File("some.bin", len(content), published.checksum(content, kind), urls)


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
