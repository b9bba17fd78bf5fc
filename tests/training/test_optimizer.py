"""Optimizers are torch's, or their paper's."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn

from unlabel.training.optimizer import adamw, lars, sgd


def test_biases_and_norms_never_decay():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    for make in (sgd, adamw, lars):
        groups = make(module, weight_decay=0.5).param_groups
        assert [p.ndim for p in groups[0]["params"]] == [2]
        assert all(p.ndim == 1 for p in groups[1]["params"])
        assert (groups[0]["weight_decay"], groups[1]["weight_decay"]) == (0.5, 0)


@pytest.mark.parametrize("clip", [False, True])
def test_lars_is_algorithm_1(clip):
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    w, b = module.weight.detach().clone(), module.bias.detach().clone()
    v, u = torch.zeros_like(w), torch.zeros_like(b)
    optimizer = lars(module, lr=0.3, momentum=0.9, weight_decay=0.1, trust=0.02, clip=clip)
    for scale in (1, 1, 0.01):  # where the gradient is small, the rate would pass 0.3
        module.weight.grad, module.bias.grad = scale * torch.randn(2, 3), torch.randn(2)
        if scale < 1:
            module.weight.grad -= 0.1 * w  # which is what decay adds
        g = module.weight.grad + 0.1 * w
        local = 0.02 * math.sqrt((w**2).sum()) / math.sqrt((g**2).sum())
        if clip:  # solo-learn, solo/utils/lars.py
            assert (local > 0.3) == (scale < 1)
            local = min(local / 0.3, 1)
        v = 0.9 * v + 0.3 * local * g
        u = 0.9 * u + 0.3 * module.bias.grad
        w, b = w - v, b - u
        optimizer.step()
    assert torch.allclose(module.weight, w, atol=1e-6)
    assert torch.allclose(module.bias, b, atol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_optimizers_are_torchs_to_the_bit_and_do_not_load_its_compiler(name):
    code = f"""if True:
        import sys, torch
        before = dict(vars(torch.optim.Optimizer))
        from unlabel.training import optimizer

        def trained(optimize):
            torch.manual_seed(0)
            module = torch.nn.Linear(30, 20)
            optimizer = optimize(module)
            for step in range(4):
                optimizer.zero_grad()
                module(torch.rand(4, 30)).square().sum().backward()
                optimizer.step()
                optimizer.load_state_dict(optimizer.state_dict())
            return torch.cat([each.flatten() for each in module.parameters()]), optimizer.defaults

        ours, defaults = trained(lambda module: optimizer.{name}(module, weight_decay=0.0))
        assert "torch._dynamo" not in sys.modules
        assert dict(vars(torch.optim.Optimizer)) == before
        kept = {{"lr", "betas", "momentum", "fused"}} & defaults.keys()
        options = {{key: defaults[key] for key in kept}} | {{"weight_decay": 0.0}}
        kind = torch.optim.{"AdamW" if name == "adamw" else "SGD"}
        theirs, _ = trained(lambda module: kind(module.parameters(), **options))
        assert torch.equal(ours, theirs)
        assert "torch._dynamo" in sys.modules
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_lars_makes_its_velocity_once():
    module = nn.Linear(3, 2)
    optimizer = lars(module)
    made = []
    for _ in range(3):
        module(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        made.append([optimizer.state[p]["velocity"].data_ptr() for p in module.parameters()])
    assert made[0] == made[1] == made[2]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        optimizer.step()
    assert "aten::zeros_like" not in {event.key for event in profile.key_averages()}
