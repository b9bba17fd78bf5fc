"""The linear classifier, against plain loops and scikit-learn."""

import math

import numpy as np
import torch

from support.clouds import clouds
from unlabel.nn.lbfgs import minimum
from unlabel.probe import _regression
from unlabel.probe._axes import Axes, axes


def test_the_loss_is_the_mean_cross_entropy_and_the_decay():
    draw = torch.Generator().manual_seed(0)
    x, label = torch.randn(4, 30, generator=draw).double(), torch.randint(3, (30,), generator=draw)
    x[-1] = 1
    plain = Axes(torch.zeros(3).double(), torch.eye(3).double())(x[:-1].T)
    weight = torch.randn(3, 4, generator=draw).double()
    expected = 0.0
    for n in range(30):
        logits = [sum(float(weight[c, d] * x[d, n]) for d in range(4)) for c in range(3)]
        expected -= logits[label[n]] - math.log(sum(map(math.exp, logits)))
    decay = sum(float(weight[c, d]) ** 2 for c in range(3) for d in range(3))
    sums = _regression.class_sums(plain, label, 3)
    value, gradient = _regression.loss(weight, plain, sums, 0.3)
    assert math.isclose(value, expected / 30 + 0.15 * decay, rel_tol=1e-9)
    weight.requires_grad_()
    penalty = 0.15 * weight[:, :-1].square().sum()
    (torch.nn.functional.cross_entropy((weight @ x).T, label) + penalty).backward()
    assert torch.allclose(gradient, weight.grad)


def test_the_linear_classifier_is_that_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    train, test = clouds().train.labelled(), clouds().test
    x = train.h.double()
    turned = axes(x)
    sums = _regression.class_sums(turned(x), train.label, 4)
    weight = _regression.fit(turned(x), sums, 1e-3, torch.zeros_like(sums), tolerance=1e-12)
    scaler = StandardScaler().fit(x)
    theirs = LogisticRegression(C=1 / (1e-3 * len(x)), tol=1e-8, max_iter=1000)
    theirs.fit(scaler.transform(x), train.label)
    expected = theirs.predict_proba(scaler.transform(test.h.double()))
    ours = (weight @ turned.turned(test.h.double())).softmax(0).T
    assert np.abs(ours.numpy() - expected).max() < 1e-4
    w, b = turned.undo(weight)
    assert torch.allclose((test.h.double() @ w.T + b).softmax(1), ours)


def test_the_minimum_is_found_and_where_there_is_none_the_search_ends():
    curved = torch.tensor([1.0, 10.0, 1000.0]).double()
    centre = torch.tensor([3.0, -2.0, 0.5]).double()

    def bowl(x):
        return (curved * (x - centre) ** 2).sum().item(), 2 * curved * (x - centre)

    found = minimum(bowl, torch.zeros(3).double(), 1e-14)
    assert torch.allclose(found, centre, atol=1e-6)
    start = torch.ones(3)
    nowhere = minimum(lambda x: (math.nan, x * math.nan), start, 1e-5)
    assert torch.equal(nowhere, start)


def test_axes_standardise_and_a_constant_feature_stays_zero():
    x = clouds().train.h
    x[:, 2] = 7
    out = axes(x)(x).columns
    covariance = out[:-1] @ out[:-1].T / len(x)
    assert torch.allclose(covariance, covariance.diagonal().diag(), atol=1e-4)
    assert math.isclose(covariance.trace(), 5, rel_tol=1e-4)  # one for each feature that varies
    assert torch.equal(out[-1], torch.ones(len(x)))
