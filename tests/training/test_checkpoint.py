"""A state is taken up again if it is whole and of the same settings."""

import pytest

from support.models import about, assembled, composed
from unlabel.errors import UserError
from unlabel.training import checkpoint
from unlabel.training.loop import Training, fit
from unlabel.training.optimizer import adamw


@pytest.fixture
def state(digits, hardware, tmp_path):
    """A method, its optimizer and where its state was saved."""
    method = assembled(composed("simclr"), about(digits))
    optimizers = [adamw(method)]
    next(fit(method, digits, optimizers, Training(epochs=1, batch=32), hardware, 0))
    path = tmp_path / "state.safetensors"
    checkpoint.save(path, method, optimizers, {"identity": {"optimizer": {"lr": 0.1}}, "step": 1})
    return path, method, optimizers


def test_a_state_of_other_settings_is_refused(state):
    path, method, optimizers = state
    with pytest.raises(UserError, match=r"another run: optimizer.lr is 0.1 there and 0.2 here"):
        checkpoint.load(path, method, optimizers, {"optimizer": {"lr": 0.2}})
    assert path.exists()


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped"])
def test_a_damaged_state_is_refused(state, damage):
    path, method, optimizers = state
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes({"truncated": content[:-9], "empty": b"", "flipped": content}[damage])
    with pytest.raises(UserError, match="damaged|altered"):
        checkpoint.load(path, method, optimizers, {"optimizer": {"lr": 0.1}})
    assert path.exists()
