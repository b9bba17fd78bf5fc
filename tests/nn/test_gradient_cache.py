"""An encoder that sees a batch in chunks has the gradient of the whole, in less memory."""

import subprocess
import sys

import pytest
import torch

from support.models import METHODS, TRAINED, about, assembled, composed, encoder_of, noise
from support.project import ROOT
from unlabel.hardware import Hardware
from unlabel.training.loop import Training, fit
from unlabel.training.optimizer import sgd

NORM_FREE = {name: "base" if "vit" in encoder_of(name) else "encoder.norm=none" for name in METHODS}
DATA = noise((1, 16, 16), n=16)


def train(name, chunk, hardware):
    """After two steps: the losses, and all weights, and the method."""
    method = hardware.move(assembled(composed(name, NORM_FREE[name]), about(DATA)))
    optimizers = [sgd(player, lr=0.005) for player in method.players()]
    training = Training(epochs=1, batch=8, chunk=chunk)
    losses = [torch.stack(s.losses) for s in fit(method, DATA, optimizers, training, hardware, 0)]
    return torch.stack(losses), method


@pytest.mark.parametrize("name", TRAINED)
def test_in_chunks_the_gradient_is_that_of_the_whole_batch(name, hardware):
    before = assembled(composed(name, NORM_FREE[name]), about(DATA)).state_dict()
    expected, whole = train(name, None, hardware)
    losses, chunked = train(name, 3, hardware)
    assert torch.allclose(losses, expected, rtol=1e-4, atol=1e-6)
    state = chunked.state_dict()
    for key, value in whole.state_dict().items():
        moved, other = (each.double() - before[key].double() for each in (value, state[key]))
        assert (moved - other).norm() <= 3e-2 * moved.norm() + 1e-6 * value.numel() ** 0.5, key


def test_a_chunk_as_large_as_the_batch_changes_no_bit(hardware):
    (expected, whole), (losses, same) = (train("simclr", chunk, hardware) for chunk in (None, 16))
    assert torch.equal(losses, expected)
    assert all(
        torch.equal(p, q) for p, q in zip(whole.parameters(), same.parameters(), strict=True)
    )


def test_batch_norm_counts_each_chunk_once(hardware):
    seen = []
    method = hardware.move(assembled(composed("simclr"), about(DATA)))
    convolve, norm = method.encoder.stem
    convolve.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    training = Training(epochs=1, batch=16, chunk=8)
    list(fit(method, DATA, [sgd(method, lr=0.0)], training, hardware, 0))
    assert len(seen) == 8  # 32 views in 4 chunks, each computed and computed again
    assert method.encoder.chunk is None  # after the training it is as it was
    mean = torch.zeros(16)
    for x in seen[:4]:
        mean = mean.lerp(x.mean((0, 2, 3)), 0.1)
    assert torch.allclose(norm.running_mean, mean, atol=1e-6)
    assert (norm.num_batches_tracked, norm.momentum) == (4, 0.1)


def test_chunks_compute_in_bfloat16_again():
    hardware = Hardware(device="cpu", precision="bfloat16")
    hardware.configure()
    expected, whole = train("simclr", None, hardware)
    losses, chunked = train("simclr", 8, hardware)
    assert torch.allclose(losses, expected, rtol=1e-2)
    before = assembled(composed("simclr", NORM_FREE["simclr"]), about(DATA)).encoder.state_dict()
    for key, value in whole.encoder.state_dict().items():
        moved, other = value - before[key], chunked.encoder.state_dict()[key] - before[key]
        assert (moved - other).norm() <= 0.1 * moved.norm(), key


MEMORY = """
import sys
sys.path[:0] = ["ssl", "tests"]
from support.models import about, assembled, composed, noise
from unlabel.hardware import Hardware
from unlabel.training.environment import peak_memory
from unlabel.training.loop import Training, fit
from unlabel.training.optimizer import sgd

data, hardware = noise((1, 28, 28), n=32), Hardware(device="cpu", precision="float32")
hardware.configure()
for batch, chunk in ((8, 4), (32, 4), (32, None)):  # the first loads what torch needs for it
    method = hardware.move(assembled(composed("simclr", "encoder=resnet18"), about(data)))
    training = Training(epochs=1, batch=batch, chunk=chunk)
    next(fit(method, data, [sgd(method)], training, hardware, 0))
    print(peak_memory("cpu"))
"""


def test_chunks_take_less_memory():
    peaks = subprocess.check_output([sys.executable, "-c", MEMORY], cwd=ROOT, text=True).split()
    first, chunked, whole = map(int, peaks)
    assert chunked - first < 0.5 * (whole - first)
