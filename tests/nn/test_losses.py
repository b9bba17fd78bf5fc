"""Each loss against a plain-loop transcription of its paper's equation."""

import math
from itertools import chain

import pytest
import torch
import torch.nn.functional as F

from unlabel.method.simclr import nt_xent
from unlabel.nn import spectrum
from unlabel.nn.layers import convolution, mlp, norms
from unlabel.nn.losses import retrieval

Z = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))


def similarity(i: int, j: int) -> float:
    dot = sum(float(a) * float(b) for a, b in zip(Z[i], Z[j], strict=True))
    return dot / math.sqrt(sum(float(a) ** 2 for a in Z[i]) * sum(float(b) ** 2 for b in Z[j]))


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_nt_xent_is_equation_1_of_simclr(temperature):
    n = len(Z) // 2
    total = 0.0
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        above = math.exp(similarity(i, j) / temperature)
        below = sum(math.exp(similarity(i, k) / temperature) for k in range(2 * n) if k != i)
        total += -math.log(above / below)
    loss = F.cross_entropy(*nt_xent(Z, temperature))
    assert math.isclose(loss.item(), total / (2 * n), rel_tol=1e-5)


def test_nt_xent_is_in_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        logits, target = nt_xent(Z, 0.1)
    assert torch.equal(logits, nt_xent(Z, 0.1)[0])
    assert target.tolist() == [4, 5, 6, 7, 0, 1, 2, 3]


def test_the_bound_on_mutual_information_is_log_n_minus_the_loss():
    logits, target = nt_xent(Z, 0.5)
    measures = retrieval(logits, target)
    bound = math.log(7) - F.cross_entropy(logits, target).item()  # 7 candidates: not itself
    assert math.isclose(measures["mutual_information_bound"].item(), bound, rel_tol=1e-5)
    right = sum(logits[i].argmax().item() == target[i].item() for i in range(8)) / 8
    assert measures["contrastive_accuracy"].item() == right


def numbers(x: list[float]) -> list[float]:
    """x with mean 0 and variance 1, as every norm's equation."""
    mean = sum(x) / len(x)
    variance = sum((each - mean) ** 2 for each in x) / len(x)
    return [(each - mean) / math.sqrt(variance + 1e-5) for each in x]


def test_norms_are_of_a_channel_over_the_batch_or_of_an_images_channels():
    x = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    expected = {
        "batch": [list(row) for row in zip(*map(numbers, x.T.tolist()), strict=True)],
        "layer": [numbers(row) for row in x.tolist()],
        "group": [
            [*chain(*(numbers(row[i : i + 2]) for i in range(0, 16, 2)))] for row in x.tolist()
        ],
    }
    for kind, values in expected.items():
        (norm,) = norms(kind, 16)
        assert torch.allclose(norm(x), torch.tensor(values), atol=1e-4)
        (norm,) = norms(kind, 16, maps=True, affine=False)
        assert torch.allclose(norm(x[:, :, None, None]).flatten(1), torch.tensor(values), atol=1e-4)
        assert not list(norm.parameters())
    assert norms("none", 16) == []


@pytest.mark.parametrize("kind", ["group", "layer"])
def test_maps_in_channels_last_are_normalised_as_contiguous_ones(kind):
    x = torch.randn(3, 16, 5, 5, generator=torch.Generator().manual_seed(0))
    (norm,) = norms(kind, 16, maps=True)
    made = norm(x.contiguous(memory_format=torch.channels_last))
    assert torch.equal(made, norm(x))  # the same bits; slower in its own layout


@pytest.mark.parametrize("norm", ["batch", "group", "standardised", "layer", "none"])
def test_a_heads_offsets_stand_where_no_batch_norm_takes_them_off(norm):
    head = mlp(5, 8, 8, norm=norm, norm_out=True)
    linear = [layer for layer in head if isinstance(layer, torch.nn.Linear)]
    assert [layer.bias is None for layer in linear] == [norm == "batch"] * 2
    assert len(head) == (3 if norm == "none" else 5)


def test_weights_are_standardised_and_the_rest_is_group_norm():
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    head = mlp(6, 8, 4, norm="standardised")
    first, last = head[0], head[-1]
    rows = []
    for row in first.weight.tolist():
        mean = sum(row) / 6
        variance = sum((w - mean) ** 2 for w in row) / 6
        rows.append([(w - mean) / math.sqrt(6 * variance + 1e-5) for w in row])
    expected = [
        [sum(w * v for w, v in zip(row, each, strict=True)) for row in rows] for each in x.tolist()
    ]
    assert torch.allclose(first(x) - first.bias, torch.tensor(expected), atol=1e-5)
    assert type(last) is torch.nn.Linear  # no norm follows
    maps = convolution("standardised", 6, 8, 1)
    maps.weight.data = first.weight.data[:, :, None, None]
    assert torch.allclose(maps(x[:, :, None, None]).flatten(1), torch.tensor(expected), atol=1e-5)
    assert norms("standardised", 8)[0].num_groups == norms("group", 8)[0].num_groups


def test_the_bound_saturates_at_log_n_for_perfect_matches():
    z = F.normalize(torch.eye(4, 16).repeat(2, 1), dim=1)
    measures = retrieval(*nt_xent(z, 0.01))
    assert math.isclose(measures["mutual_information_bound"].item(), math.log(7), rel_tol=1e-5)
    assert measures["contrastive_accuracy"].item() == 1


def test_effective_rank_is_equation_1_of_rankme():
    values = torch.linalg.svdvals(Z).tolist()
    p = [v / sum(values) + 1e-7 for v in values]
    expected = math.exp(-sum(x * math.log(x) for x in p))
    assert math.isclose(spectrum.effective_rank(Z).item(), expected, rel_tol=1e-4)


def test_effective_rank_and_deviation_of_a_collapse_and_of_none():
    collapsed = torch.ones(50, 8)
    assert math.isclose(spectrum.effective_rank(collapsed).item(), 1, abs_tol=1e-3)
    assert spectrum.deviation(collapsed).item() < 1e-6
    spread = torch.randn(4000, 8, generator=torch.Generator().manual_seed(0))
    assert spectrum.effective_rank(spread).item() > 7.9
    assert math.isclose(spectrum.deviation(spread).item(), 1, abs_tol=0.02)


def test_alignment_and_uniformity_are_their_definitions():
    n = len(Z) // 2
    pairs = [2 - 2 * similarity(i, i + n) for i in range(n)]
    assert math.isclose(spectrum.alignment(Z[:n], Z[n:]).item(), sum(pairs) / n, rel_tol=1e-5)
    potentials = [
        math.exp(-2 * (2 - 2 * similarity(i, j))) for i in range(len(Z)) for j in range(i)
    ]
    expected = math.log(sum(potentials) / len(potentials))
    assert math.isclose(spectrum.uniformity(Z).item(), expected, rel_tol=1e-4)
