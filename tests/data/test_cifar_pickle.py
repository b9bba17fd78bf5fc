"""What Python has pickled is read by a reader that calls nothing."""

import pickle
import random
from contextlib import suppress
from pathlib import Path

import pytest

from support.harmful import hostile
from support.published import cifar
from unlabel.data import cifar_pickle


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
