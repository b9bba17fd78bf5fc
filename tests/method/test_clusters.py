"""Methods that compare with clusters, queues or prototypes, against plain loops."""

import math

import torch
import torch.nn.functional as F

from support.joint import made, stepped
from support.loops import QUEUE, A, B, close, cos, softmax
from support.waits import Waits
from unlabel.method.deepcluster_v2 import UNSEEN, predict
from unlabel.method.msn import targets
from unlabel.method.ressl import relations
from unlabel.nn.clusters import k_means
from unlabel.training import loop
from unlabel.training.optimizer import sgd


def test_relations_are_equations_3_and_4_of_ressl():
    for z, row in zip(A, relations(A, QUEUE, 0.1).tolist(), strict=True):
        shares = softmax([cos(z, other) / 0.1 for other in QUEUE])
        assert all(
            math.isclose(math.exp(a), b, rel_tol=1e-4) for a, b in zip(row, shares, strict=True)
        )


def test_ressl_is_equation_5_and_its_queue_holds_the_newest(digits, batch, hardware):
    method = made("ressl", digits, "method.queue=80")
    queue = method.queue
    for twin in stepped(method, batch, hardware, 3):
        s, t = twin.student(batch.x).detach(), F.normalize(twin.teacher(batch.x), dim=1)
        total = 0.0
        for a, b in zip(s, t, strict=True):
            p = softmax([cos(b, other) / 0.04 for other in queue])
            q = softmax([cos(a, other) / 0.1 for other in queue])
            total -= sum(x * math.log(y) for x, y in zip(p, q, strict=True))
        assert close(next(twin.step(batch)), total / len(s))
        queue = torch.cat([t, queue])[:80]
    assert torch.allclose(method.queue, queue, atol=1e-6)


def test_k_means_is_the_plain_algorithm():
    z = F.normalize(torch.cat([A, B]), dim=1)
    torch.manual_seed(0)
    centroids, assigned = k_means(z, 3, 4)
    torch.manual_seed(0)
    expected = [z[int(i)] for i in torch.randperm(len(z))[:3]]
    for _ in range(4):
        nearest = [max(range(3), key=lambda k, v=v: cos(v, expected[k])) for v in z]
        for k in range(3):
            members = [v for v, own in zip(z, nearest, strict=True) if own == k]
            expected[k] = F.normalize(sum(members), dim=0) if members else expected[k]
    assert torch.allclose(centroids, torch.stack(expected), atol=1e-6)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(k_means(z, 3, 4)[0], centroids)
    assert assigned.tolist() == [max(range(3), key=lambda k, v=v: cos(v, expected[k])) for v in z]


def test_of_fewer_vectors_than_clusters_each_is_its_own():
    z = F.normalize(A, dim=1)
    centroids, assigned = k_means(z, 50, 3)
    assert torch.allclose(centroids[assigned], z)


def test_deepcluster_predicts_the_cluster_and_nothing_for_the_unseen():
    y, total = torch.tensor([0, 5, UNSEEN, 2, 1, UNSEEN, 3, 4]), 0.0
    for z, own in zip(A, y.tolist(), strict=True):
        if own != UNSEEN:
            total -= math.log(softmax([cos(z, c) / 0.1 for c in QUEUE])[own])
    assert close(predict(A, QUEUE, y, 0.1), total / len(A))


def test_deepcluster_clusters_what_it_has_seen_each_half_epoch(digits, batch, hardware):
    every = 64 / len(digits.id)  # two steps
    method = made("deepcluster_v2", digits, f"method.clusters=5+method.every={every}")
    states = list(stepped(method, batch, hardware, 3))
    assert [int((each.assignments[0] != UNSEEN).sum()) for each in states] == [0, 0, 0]
    assert next(states[0].step(batch)).item() == 0
    assert int((method.assignments[0] != UNSEEN).sum()) == 32
    assert method.assignments[:, batch.i].amax() < 5
    z = F.normalize(states[2].embed(states[2].encoder(batch.x)), dim=1)
    assert torch.allclose(method.bank[:, batch.i], z.expand(2, -1, -1), atol=1e-5)
    assert int(method.waiting) == 32
    assert not torch.equal(method.centroids[0], states[2].centroids[0])


def test_deepcluster_waits_for_no_gpu_until_it_clusters(digits, batch, hardware):
    method = made("deepcluster_v2", digits, "method.every=5")
    optimizer = sgd(method, lr=0.1)
    loop.update(method, [batch], [optimizer], hardware)
    with Waits() as waits:
        loop.update(method, [batch], [optimizer], hardware)
    assert not waits.found
    assert int(method.waiting) == method.since == 64


def test_targets_of_msn_are_sharpened_and_evened_out():
    scores = A.tanh()
    p = [[x ** (1 / 0.25) for x in softmax([s / 0.1 for s in row])] for row in scores.tolist()]
    q = [[x / sum(row) for x in row] for row in p]
    assert torch.allclose(targets(scores, 0.025, 0), torch.tensor(q), atol=1e-5)
    for _ in range(3):
        total = [sum(row[k] for row in q) for k in range(5)]
        q = [[x / total[k] for k, x in enumerate(row)] for row in q]
        q = [[x / sum(row) for x in row] for row in q]
    assert torch.allclose(targets(scores, 0.025, 3), torch.tensor(q), atol=1e-5)


def test_msn_is_equation_1(digits, batch):
    method = made("msn", digits, "method.entropy=0.5+method.hidden=0.5+method.views=1").eval()
    torch.manual_seed(0)
    loss = next(method.step(batch))
    torch.manual_seed(0)
    score = method.prototypes(method.embed(method.masked(batch.x)))
    target = targets(method.prototypes(method.teacher(batch.x)), 0.025, 3)
    p = [softmax([x / 0.1 for x in row]) for row in score.tolist()]
    n, k = len(p), len(p[0])
    match = (
        sum(
            -sum(t * math.log(x) for t, x in zip(a, b, strict=True))
            for a, b in zip(target.tolist(), p, strict=True)
        )
        / n
    )
    mean = [sum(row[j] for row in p) / n for j in range(k)]
    entropy = -sum(x * math.log(x) for x in mean)
    assert close(loss, match + 0.5 * (math.log(k) - entropy))


def test_no_gradient_of_msn_comes_by_its_targets(digits, batch):
    method = made("msn", digits, "method.entropy=0.0")
    scores = method.prototypes(method.teacher(batch.x))
    assert scores.requires_grad  # through the prototypes alone
    assert not targets(scores, 0.025, 3).requires_grad
    assert not targets(B, 0.025, 0).requires_grad
