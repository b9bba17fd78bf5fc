"""Losses without negatives or a teacher, against the papers' equations as plain loops."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F

from support.joint import made, stepped
from support.loops import A, B, close, cos, dot
from unlabel.method.byol import regression
from unlabel.method.emp_ssl import coding_rate
from unlabel.method.fastsiam import mean_target
from unlabel.method.lejepa import sigreg
from unlabel.method.mmcr import nuclear_norm
from unlabel.method.tico import second_moments
from unlabel.method.w_mse import whiten


def covariances(z):
    """The covariance matrix as lists, by its definition."""
    n, columns = len(z), z.T.tolist()
    centred = [[x - sum(column) / n for x in column] for column in columns]
    return [
        [sum(x * y for x, y in zip(a, b, strict=True)) / (n - 1) for b in centred] for a in centred
    ]


def test_whitening_is_by_the_cholesky_factor_of_the_covariance():
    sigma = covariances(A)
    d = len(sigma)
    lower = [[0.0] * d for _ in range(d)]
    for i in range(d):  # Cholesky's algorithm
        for j in range(i + 1):
            left = sigma[i][j] - sum(lower[i][k] * lower[j][k] for k in range(j))
            lower[i][j] = math.sqrt(left) if i == j else left / lower[j][j]
    mean = A.mean(0).tolist()
    for row, white in zip(A.tolist(), whiten(A, 1e-9).tolist(), strict=True):
        solved: list[float] = []
        for i in range(d):  # L solved = row - mean
            known = sum(lower[i][k] * solved[k] for k in range(i))
            solved.append((row[i] - mean[i] - known) / lower[i][i])
        assert all(math.isclose(a, b, abs_tol=1e-4) for a, b in zip(white, solved, strict=True))
    assert torch.allclose(torch.tensor(covariances(whiten(A, 1e-9))), torch.eye(d), atol=1e-4)


def test_w_mse_whitens_each_sub_batch_and_each_view_alone(digits, batch):
    method = made("w_mse", digits, "method.dim=4+method.repeats=2+method.size=16")
    torch.manual_seed(3)
    loss = next(method.step(batch))
    torch.manual_seed(3)
    z = method.embed(method.encoder(batch.x.repeat(2, 1, 1, 1))).detach()[:32]
    total = 0.0
    for _ in range(2):
        order = torch.randperm(32)
        for part in (order[:16], order[16:]):
            white = method.whiten(z[part])
            total += float(regression(white, white))
    assert close(loss, total / 4)
    assert loss.item() < 1e-5  # the views are alike


def test_tico_is_its_equation_and_its_covariance_a_moving_average(digits, batch, hardware):
    method = made("tico", digits, "method.contrast=3.0+method.decay=0.8")
    c = torch.zeros_like(method.covariance)
    for twin in stepped(method, batch, hardware, 3):
        z = F.normalize(twin.online(batch.x), dim=1).detach()
        z_ = F.normalize(twin.target(batch.x), dim=1)
        c = 0.8 * c + 0.2 * sum(torch.outer(each, each) for each in z) / len(z)
        agree = sum(dot(a, b) for a, b in zip(z, z_, strict=True)) / len(z)
        contrast = sum(float(each @ c @ each) for each in z) / len(z)
        assert close(next(twin.step(batch)), 1 - agree + 3.0 * contrast)
    assert torch.allclose(method.covariance, c, atol=1e-6)


def test_the_nuclear_norm_is_the_sum_of_the_roots_of_the_eigenvalues_of_zt_z():
    values = torch.linalg.eigvalsh(A.double().T @ A.double()).tolist()
    assert close(nuclear_norm(A), sum(math.sqrt(value) for value in values))


def test_mmcr_is_equation_6(digits, batch):
    method = made("mmcr", digits, "method.compression=0.5+method.dim=8+method.views=2")
    loss = next(method.step(batch))
    z = F.normalize(method.embed(method.encoder(batch.x)), dim=1).detach()
    centroids = torch.linalg.eigvalsh(z.T.double() @ z.double()).clamp(min=0).sqrt().sum()
    each = sum(math.sqrt(2 * dot(row, row)) for row in z) / len(z)  # two views alike: one direction
    assert close(loss, float(-centroids + 0.5 * each))


def test_fastsiam_predicts_the_mean_of_the_other_views():
    p, z = [A, B, A * B], [B, A.square(), A + B]
    total = 0.0
    for i in range(3):
        for n in range(len(A)):
            others = [z[j][n] for j in range(3) if j != i]
            total -= cos(p[i][n], sum(others) / 2) / len(A)
    assert close(mean_target(p, z), total / 3)
    p, z = ([each.clone().requires_grad_() for each in side] for side in (p, z))
    mean_target(p, z).backward()
    assert [each.grad is None for each in p + z] == [False] * 3 + [True] * 3


def test_the_coding_rate_is_equation_2_of_emp_ssl():
    z = F.normalize(torch.stack([A, B]), dim=2)
    for each, rate in zip(z, coding_rate(z, 0.2), strict=True):
        n, d = each.shape
        gram = sum(torch.outer(row, row) for row in each.double())
        values = torch.linalg.eigvalsh(gram).tolist()
        assert close(rate, sum(math.log(1 + d / (n * 0.2) * value) for value in values) / 2)


def test_sigreg_is_the_epps_pulley_statistic_by_the_trapezoidal_rule():
    generator = torch.Generator().manual_seed(4)
    directions = F.normalize(torch.randn(5, 3, generator=generator), dim=0)
    z, knots, reach = torch.stack([A, B]), 4, 3.0
    t = [-reach + k * reach / (knots - 1) for k in range(2 * knots - 1)]
    total = 0.0
    for view in z:
        for a in directions.T:
            shadow = [dot(row, a) for row in view]
            values = []
            for frequency in t:
                real = sum(math.cos(frequency * s) for s in shadow) / len(shadow)
                imaginary = sum(math.sin(frequency * s) for s in shadow) / len(shadow)
                normal = math.exp(-(frequency**2) / 2)
                values.append(((real - normal) ** 2 + imaginary**2) * normal)
            step = reach / (knots - 1)
            total += len(shadow) * sum((a + b) / 2 * step for a, b in pairwise(values))
    assert close(sigreg(z, directions, knots, reach), total / 6)


def test_sigreg_is_small_for_normal_embeddings_alone():
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(1, 2000, 8, generator=generator)
    directions = F.normalize(torch.randn(8, 64, generator=generator), dim=0)
    small = float(sigreg(normal, directions, 17, 3.0))
    assert small < 2
    assert float(sigreg(normal * 0.5, directions, 17, 3.0)) > 20 * small
    assert float(sigreg(torch.zeros_like(normal), directions, 17, 3.0)) > 100 * small


def test_losses_are_in_float32_under_autocast():
    z, a = torch.stack([A, B]), torch.eye(5)

    def losses():
        return [
            whiten(A, 0.1).square().sum(),
            second_moments(A).sum(),
            nuclear_norm(A),
            mean_target([A, B], [B, A]),
            *coding_rate(z, 0.2),
            sigreg(z, a, 5, 3.0),
        ]

    expected = losses()
    with torch.autocast("cpu", torch.bfloat16):
        assert [float(loss) for loss in losses()] == [float(loss) for loss in expected]
