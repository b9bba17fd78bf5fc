"""Masks in memory and as a file."""

import pytest
import torch

from unlabel.data import masks
from unlabel.data.masks import Masks
from unlabel.errors import UserError

DRAW = torch.Generator().manual_seed(0)
KNOWN = Masks(
    torch.tensor([7, 1 << 40, 3]),
    torch.randint(4, (3, 5, 6), generator=DRAW, dtype=torch.uint8),
    ("background", "cat", "dog", "ox"),
)


def test_masks_are_read_as_they_were_written_and_found_by_id(tmp_path):
    masks.write(tmp_path / "masks.arrow", KNOWN)
    found = masks.read(tmp_path / "masks.arrow")
    assert torch.equal(found.id, KNOWN.id)
    assert torch.equal(found.mask, KNOWN.mask)
    assert found.classes == KNOWN.classes
    assert torch.equal(found.of(torch.tensor([3, 7])), KNOWN.mask[[2, 0]])
    with pytest.raises(UserError, match="image 4 has no mask"):
        found.of(torch.tensor([3, 4]))


def test_a_missing_or_damaged_file_is_one_sentence(tmp_path):
    path = tmp_path / "masks.arrow"
    with pytest.raises(UserError, match="does not exist: prepare the masks first"):
        masks.read(path)
    masks.write(path, KNOWN)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="not a whole file of masks"):
        masks.read(path)
