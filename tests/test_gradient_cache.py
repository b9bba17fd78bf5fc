"""An encoder that sees a batch in chunks has the gradient of the whole, in less memory."""

import subprocess
import sys

import pytest
import torch

from conftest import METHODS, about, assembled, composed
from project import ROOT
from test_methods import encoder_of, images
from unlabel.hardware import Hardware
from unlabel.optimizer import sgd
from unlabel.training import Training, fit

NORM_FREE = {name: "base" if "vit" in encoder_of(name) else "encoder.norm=none" for name in METHODS}
DATA = images((1, 16, 16), n=32)


def train(name, chunk, hardware, variant=None, batch=16):
    """After two steps: the losses, and all weights, and the method."""
    variant = NORM_FREE[name] if variant is None else variant
    method = hardware.move(assembled(composed(name, variant), about(DATA)))
    optimizers = [sgd(player, lr=0.005) for player in method.players()]
    training = Training(epochs=1, batch=batch, chunk=chunk)
    losses = [torch.stack(s.losses) for s in fit(method, DATA, optimizers, training, hardware, 0)]
    return torch.stack(losses), method


@pytest.mark.parametrize("name", [name for name in METHODS if name != "random"])
def test_in_chunks_the_gradient_is_that_of_the_whole_batch(name, hardware):
    before = assembled(composed(name, NORM_FREE[name]), about(DATA)).state_dict()
    expected, whole = train(name, None, hardware)
    losses, chunked = train(name, 3, hardware)
    assert torch.allclose(losses, expected, rtol=1e-4, atol=1e-6)
    state = chunked.state_dict()
    for key, value in whole.state_dict().items():
        moved, other = (value - before[key]).double(), (state[key] - before[key]).double()
        assert (moved - other).norm() <= 2e-3 * moved.norm() + 1e-6 * value.numel() ** 0.5, key


def test_a_chunk_as_large_as_the_batch_changes_no_bit(hardware):
    (expected, whole), (losses, same) = (train("simclr", chunk, hardware) for chunk in (None, 32))
    assert torch.equal(losses, expected)
    assert all(
        torch.equal(p, q) for p, q in zip(whole.parameters(), same.parameters(), strict=True)
    )


def test_batch_norm_counts_each_chunk_once(hardware):
    _, method = train("simclr", 8, hardware, "base", batch=32)
    twin = hardware.move(assembled(composed("simclr"), about(DATA)))
    seen = []
    twin.encoder.stem.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    list(fit(twin, DATA, [sgd(twin, lr=0.0)], Training(epochs=1, batch=32, chunk=8), hardware, 0))
    assert len(seen) == 16  # 64 views, each chunk computed and computed again
    batch_norm = method.encoder.stem[1]
    assert batch_norm.num_batches_tracked == 8
    assert batch_norm.momentum == 0.1
    mean = torch.zeros(16)
    with torch.no_grad():
        for x in seen[:8]:
            mean.lerp_(
                assembled(composed("simclr"), about(DATA)).encoder.stem[0](x).mean((0, 2, 3)), 0.1
            )
    assert torch.allclose(batch_norm.running_mean, mean, atol=1e-5)


def test_chunks_compute_in_bfloat16_again():
    hardware = Hardware(device="cpu", precision="bfloat16")
    expected, whole = train("simclr", None, hardware)
    losses, chunked = train("simclr", 8, hardware)
    assert torch.allclose(losses, expected, rtol=1e-2)
    before = assembled(composed("simclr", NORM_FREE["simclr"]), about(DATA)).encoder.state_dict()
    for key, value in whole.encoder.state_dict().items():
        moved, other = value - before[key], chunked.encoder.state_dict()[key] - before[key]
        assert (moved - other).norm() <= 0.1 * moved.norm(), key


MEMORY = """
import resource, sys
sys.path[:0] = ["ssl", "tests"]
import torch
from conftest import about, assembled, composed
from test_methods import images
from unlabel.hardware import Hardware
from unlabel.optimizer import sgd
from unlabel.training import Training, fit

batch, chunk = int(sys.argv[1]), int(sys.argv[2])
data, hardware = images((1, 28, 28), n=batch), Hardware(device="cpu", precision="float32")
method = hardware.move(assembled(composed("simclr"), about(data)))
import torch._dynamo  # which torch loads when it computes again
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
list(fit(method, data, [sgd(method)], Training(epochs=1, batch=batch, chunk=chunk), hardware, 0))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_chunks_take_less_memory():
    def grown(batch, chunk):
        command = [sys.executable, "-c", MEMORY, str(batch), str(chunk)]
        return int(subprocess.check_output(command, cwd=ROOT, text=True))

    assert grown(1024, 64) < 0.5 * grown(1024, 2048)
