"""Losses of joint embeddings, against the papers' equations as plain loops."""

import math

import pytest
import torch
import torch.nn.functional as F

from support.loops import QUEUE, A, B, close, cos, dot, softmax
from unlabel.method.barlow import barlow_twins
from unlabel.method.byol import regression
from unlabel.method.looc import leave_one_out
from unlabel.method.moco_v3 import contrast
from unlabel.method.nnclr import nearest
from unlabel.method.simclr import nt_xent
from unlabel.method.simsiam import distance
from unlabel.method.supcon import supervised_contrastive
from unlabel.method.vicreg import covariance, variance
from unlabel.nn.layers import Prototypes
from unlabel.nn.losses import cross_prediction, info_nce, sinkhorn


@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_info_nce_with_a_queue_is_equation_1_of_moco(temperature):
    total = 0.0
    for q, k in zip(A, B, strict=True):
        above = math.exp(cos(q, k) / temperature)
        below = above + sum(math.exp(cos(q, each) / temperature) for each in QUEUE)
        total += -math.log(above / below)
    assert close(F.cross_entropy(*info_nce(A, B, temperature, QUEUE)), total / len(A))


def test_info_nce_in_a_batch_and_moco_v3s_contrast_are_their_equations():
    total = 0.0
    for i, q in enumerate(A):
        total += -math.log(softmax([cos(q, k) / 0.2 for k in B])[i])
    assert close(F.cross_entropy(*info_nce(A, B, 0.2)), total / len(A))
    assert close(contrast(A, B, 0.2), 2 * 0.2 * total / len(A))  # algorithm 1: times 2 tau


def test_regression_is_equation_2_of_byol():
    total = 0.0
    for p, z in zip(A, B, strict=True):
        p_, z_ = p / math.sqrt(dot(p, p)), z / math.sqrt(dot(z, z))
        total += sum((x - y) ** 2 for x, y in zip(p_.tolist(), z_.tolist(), strict=True))
    assert close(regression(A, B), total / len(A))


def test_distance_is_equation_1_of_simsiam():
    total = sum(-cos(p, z) for p, z in zip(A, B, strict=True))
    assert close(distance(A, B), total / len(A))


def test_supervised_contrastive_is_equation_2_of_supcon():
    y, total = [0, 1, 2, 0, 0, 1, 2, 0], 0.0
    for i in range(8):
        others = [a for a in range(8) if a != i]
        positives = [p for p in others if y[p] == y[i]]
        below = sum(math.exp(cos(A[i], A[a]) / 0.1) for a in others)
        terms = [math.log(math.exp(cos(A[i], A[p]) / 0.1) / below) for p in positives]
        total += -sum(terms) / len(positives)
    assert close(supervised_contrastive(A, torch.tensor(y), 0.1), total / 8)


def test_barlow_twins_is_equations_1_and_2():
    n, d = A.shape
    a = [[x - sum(column) / n for x in column] for column in A.T.tolist()]
    b = [[x - sum(column) / n for x in column] for column in B.T.tolist()]
    invariance = redundancy = 0.0
    for i in range(d):
        for j in range(d):
            above = sum(x * y for x, y in zip(a[i], b[j], strict=True))
            below = math.sqrt(sum(x**2 for x in a[i])) * math.sqrt(sum(y**2 for y in b[j]))
            if i == j:
                invariance += (1 - above / below) ** 2
            else:
                redundancy += (above / below) ** 2
    on, off = barlow_twins(A, B)
    assert close(on, invariance)
    assert close(off, redundancy)


def test_barlow_twins_of_decorrelated_twins_is_nothing():
    z = torch.cat([torch.eye(4), -torch.eye(4)])
    assert all(float(term) < 1e-6 for term in barlow_twins(z, z))


def test_variance_and_covariance_are_equations_1_to_4_of_vicreg():
    z = A * torch.tensor([0.1, 0.5, 1.0, 2.0, 1.5])
    n, d = z.shape
    columns = z.T.tolist()
    centred = [[x - sum(column) / n for x in column] for column in columns]
    lacking = [max(0, 1 - math.sqrt(sum(x**2 for x in c) / (n - 1) + 1e-4)) for c in centred]
    assert close(variance(z), sum(lacking) / d)
    total = 0.0
    for i in range(d):
        for j in range(d):
            if i != j:
                c = sum(x * y for x, y in zip(centred[i], centred[j], strict=True)) / (n - 1)
                total += c**2
    assert close(covariance(z), total / d)


def test_sinkhorn_is_the_papers_algorithm_and_its_marginals_are_even():
    scores = A[:6].tanh()  # 6 views, 5 prototypes
    q = [[math.exp(s / 0.05) for s in row] for row in scores.tolist()]
    for _ in range(3):
        totals = [sum(row[k] for row in q) for k in range(5)]
        q = [[x / totals[k] / 5 for k, x in enumerate(row)] for row in q]
        q = [[x / sum(row) / 6 for x in row] for row in q]
    expected = torch.tensor(q) * 6
    assert torch.allclose(sinkhorn(scores, 0.05, 3), expected, atol=1e-5)
    even = sinkhorn(scores, 0.05, 2000)
    assert torch.allclose(even.sum(1), torch.ones(6), atol=1e-4)
    assert torch.allclose(even.sum(0), torch.full((5,), 6 / 5), atol=1e-3)


def test_cross_prediction_is_equation_3_of_dino():
    views = [A, B, A * B]  # two global views and a local one
    targets = [A.square().softmax(1), B.square().softmax(1)]
    terms = []
    for i, target in enumerate(targets):
        for v, view in enumerate(views):
            if v != i:
                for p, logits in zip(target.tolist(), view.tolist(), strict=True):
                    s = softmax(logits)
                    terms.append(-sum(x * math.log(y) for x, y in zip(p, s, strict=True)))
    assert len(terms) == 4 * len(A)
    assert close(cross_prediction(views, targets), sum(terms) / len(terms))


@pytest.mark.parametrize("length", [6, 0])
def test_leave_one_out_is_equation_2_of_looc(length):
    generator = torch.Generator().manual_seed(1)
    n, t = 2, 0.2  # transforms left out
    q = F.normalize(torch.randn(n + 1, 4, 5, generator=generator), dim=2)
    k = F.normalize(torch.randn(n + 1, n + 1, 4, 5, generator=generator), dim=3)
    queue = F.normalize(torch.randn(n + 1, length, 5, generator=generator), dim=2)
    total = 0.0
    for image in range(4):

        def positive(i, j, image=image):  # E of key j in space i
            return math.exp(dot(q[i, image], k[j, i, image]) / t)

        # without a queue, the other keys of the batch
        others = [[k[i, i, other] for other in range(4) if other != image] for i in range(n + 1)]
        keys = list(queue) if length else others
        negative = [sum(math.exp(dot(q[i, image], e) / t) for e in keys[i]) for i in range(n + 1)]
        for j in range(n + 1):
            total -= math.log(positive(0, j) / (positive(0, j) + negative[0]))
        for i in range(1, n + 1):
            below = sum(positive(i, j) for j in range(n + 1)) + negative[i]
            total -= math.log(positive(i, i) / below)
    assert close(leave_one_out(q, k, queue, t).mean(), total / 4 / (n + 1))


def test_nearest_is_equation_2_of_nnclr():
    for z, found in zip(A, nearest(A, QUEUE), strict=True):
        best = max(QUEUE, key=lambda each: cos(z, each))
        assert torch.equal(found, best)


def test_losses_are_in_float32_under_autocast():
    y = torch.arange(4).repeat(2)
    spaces = F.normalize(torch.stack([A, B]), dim=2)
    keys, queue = torch.stack([spaces, spaces.flip(0)]), torch.stack([QUEUE, QUEUE])
    prototypes = Prototypes(5, 7)

    def losses():
        return [
            F.cross_entropy(*info_nce(A, B, 0.1)),
            F.cross_entropy(*info_nce(A, B, 0.1, QUEUE)),
            regression(A, B),
            distance(A, B),
            supervised_contrastive(A, y, 0.1),
            *barlow_twins(A, B),
            variance(A),
            covariance(A),
            *leave_one_out(spaces, keys, queue, 0.1),
            sinkhorn(prototypes(A), 0.05, 3).max(),
        ]

    expected = losses()
    with torch.autocast("cpu", torch.bfloat16):
        assert [float(loss) for loss in losses()] == [float(loss) for loss in expected]


def test_supcon_with_instance_labels_is_simclr():
    instance = torch.arange(4).repeat(2)
    simclr = F.cross_entropy(*nt_xent(A, 0.5))
    assert close(supervised_contrastive(A, instance, 0.5), simclr.item())


def test_info_nce_with_the_other_keys_as_negatives_is_info_nce_in_the_batch():
    for i in range(len(A)):
        others = torch.cat([B[:i], B[i + 1 :]])
        alone = F.cross_entropy(*info_nce(A[i : i + 1], B[i : i + 1], 0.2, others))
        logits, target = info_nce(A, B, 0.2)
        assert close(alone, F.cross_entropy(logits[i : i + 1], target[i : i + 1]).item())
