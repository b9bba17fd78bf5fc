"""House numbers: what is wrong with a file."""

import io
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from support import published
from support.published import write_folder
from support.small_datasets import SMALL, Small, known
from unlabel.dataset import svhn
from unlabel.errors import UserError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str], Small]:
    """Makes a small dataset, which is then taken for the published one."""
    return lambda name, url="": SMALL[name](monkeypatch.setattr, tmp_path, url)


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
