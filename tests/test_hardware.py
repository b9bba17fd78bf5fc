"""Hardware describes; only `configure` changes torch, for the whole process."""

import os
from dataclasses import asdict

import pytest
import torch

from unlabel.errors import UserError
from unlabel.hardware import Hardware, deterministic


def switches() -> tuple:
    """torch's global switches."""
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    return (
        torch.get_num_threads(),
        cuda.allow_tf32,
        cudnn.allow_tf32,
        cudnn.deterministic,
        cudnn.benchmark,
    )


@pytest.fixture
def other():
    """Switches that are all set to what `configure` does not set."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = False, True
    yield switches()
    Hardware(device="cpu", threads=before).configure()


def test_a_description_changes_nothing_and_configure_does(other):
    hardware = Hardware(device="cpu", threads=2).resolve()
    assert switches() == other
    hardware.configure()
    assert switches() == (2, False, False, True, False)


def test_auto_is_resolved_to_what_this_machine_has():
    described = Hardware(threads=3, workers=1)
    resolved = described.resolve()
    assert asdict(described)["device"] == described.precision == "auto"
    assert resolved.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolved.precision in ("float32", "bfloat16")
    assert (resolved.threads, resolved.workers) == (3, 1)
    assert resolved.resolve() == resolved


def test_a_device_that_is_not_there_is_explained():
    hardware = Hardware(device="cuda:7")
    with pytest.raises(UserError, match=r"hardware.device is 'cuda:7'.*set it to auto or cpu"):
        hardware.resolve()


def test_only_reproducible_operations_are_allowed_on_a_gpu(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    fills = torch.utils.deterministic.fill_uninitialized_memory
    try:
        deterministic()
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.set_deterministic_debug_mode("default")
        torch.utils.deterministic.fill_uninitialized_memory = fills


def test_an_encoder_is_compiled_where_it_is_asked_for_and_can_be(monkeypatch):
    assert Hardware(device="cpu").resolve().compile is False
    assert Hardware(device="cpu", compile=None).resolve().compile is False
    monkeypatch.setenv("CXX", "python3")
    assert Hardware(device="cpu", compile=True).resolve().compile is True
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"hardware.compile is true.*install g\+\+, or set it"):
        Hardware(device="cpu", compile=True).resolve()
