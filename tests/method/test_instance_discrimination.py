"""Instance discrimination and its memory bank, against plain loops."""

import math

import pytest
import torch
import torch.nn.functional as F

from support.batches import images, noise
from support.models import about, assembled, composed
from unlabel.method import Batch
from unlabel.method.instance_discrimination import nce
from unlabel.params.settings import build
from unlabel.training.loop import Training, fit


def test_noise_contrastive_estimation_is_equations_5_to_7():
    n, m, z = 50, 4, 30.0
    positive, negative = noise(3) * 4, noise(3, m, seed=1) * 4
    total = 0.0
    for i in range(3):
        p = [math.exp(s) / z for s in (positive[i].item(), *negative[i].tolist())]
        h = [each / (each + m / n) for each in p]
        total -= math.log(h[0]) + sum(math.log(1 - each) for each in h[1:])
    got = nce(positive, negative, torch.tensor(z), n)
    assert math.isclose(got, total / 3, rel_tol=1e-5)


def memory(variant: str):
    data = images(n=32)
    settings = composed("instance_discrimination", variant)
    return assembled(settings, about(data)), data, settings


@pytest.mark.parametrize("negatives", ["null", "8"])
def test_the_memory_bank_after_some_steps_is_what_hand_computation_gives(negatives, hardware):
    method, data, settings = memory(f"method.momentum=0.3+method.negatives={negatives}")
    bank, seen, embed = method.bank.clone(), [], method.embed
    method.embed = lambda h: seen.append(embed(h)) or seen[-1]
    indices, step = [], method.step
    method.step = lambda batch: indices.append(batch.i) or step(batch)
    optimizers = [build(settings["optimizer"], module=method)]
    list(fit(method, data, optimizers, Training(epochs=2, batch=8), hardware, 0))
    assert len(seen) == 8
    for v, index in zip(seen, indices, strict=True):
        for row, i in zip(v.detach(), index.tolist(), strict=True):
            mixed = [0.3 * old + 0.7 * new for old, new in zip(bank[i], row, strict=True)]
            norm = math.sqrt(sum(value**2 for value in mixed))
            bank[i] = torch.tensor([value / norm for value in mixed])
    assert torch.allclose(method.bank, bank, atol=1e-5)


def test_the_full_softmax_is_equation_2_plus_the_proximal_term():
    method, _, _ = memory("method.proximal=0.7")
    method.eval()
    x, i = noise(4, 1, 16, 16), torch.tensor([3, 0, 31, 7])
    seen, embed = [], method.embed
    method.embed = lambda h: seen.append(embed(h)) or seen[-1]
    bank = method.bank.clone()
    loss = next(method.step(Batch(x, i, i, 0.0))).item()
    v = seen[0].detach()
    total = 0.0
    for row, own in zip(v, i.tolist(), strict=True):
        p = [math.exp(float(row @ other) / method.temperature) for other in bank]
        total -= math.log(p[own] / sum(p))
        total += 0.7 * float(((row - bank[own]) ** 2).sum())
    assert math.isclose(loss, total / 4, rel_tol=1e-4)


def test_the_constant_z_is_estimated_once(hardware):
    method, data, settings = memory("method.negatives=16")
    optimizers = [build(settings["optimizer"], module=method)]
    estimates = []
    for _ in fit(method, data, optimizers, Training(epochs=2, batch=8), hardware, 0):
        estimates.append(method.z.item())
    assert estimates[0] > 0
    assert len(set(estimates)) == 1
    rows = F.normalize(torch.randn(400, 128, generator=torch.Generator().manual_seed(0)), dim=1)
    mean = (rows @ rows[0] / method.temperature)[1:].exp().mean().item()
    assert 0.5 < estimates[0] / (32 * mean) < 2  # n times the mean over random rows
