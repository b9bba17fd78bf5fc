"""What follows an update: moving averages, queues and centres."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from support.joint import made, stepped
from support.loops import A, close, softmax
from support.models import about, assembled, composed
from unlabel.method import Batch
from unlabel.nn.layers import Teacher, cosine, mlp
from unlabel.nn.losses import sinkhorn
from unlabel.training import loop
from unlabel.training.optimizer import sgd


def test_a_teacher_is_the_moving_average_of_its_student():
    student = mlp(5, 4, 3)
    teacher = Teacher(student)
    expected = [p.detach().clone() for p in student.parameters()]
    torch.manual_seed(0)
    for momentum in (0.5, 0.9, 0.99):
        for p in student.parameters():
            p.data = torch.randn_like(p)
        teacher.follow(student, momentum, share=1.0)
        new = student.parameters()
        expected = [momentum * e + (1 - momentum) * p for e, p in zip(expected, new, strict=True)]
    for p, e in zip(teacher.parameters(), expected, strict=True):
        assert torch.allclose(p, e, atol=1e-6)


def test_a_teachers_batch_norm_has_its_own_statistics():
    student = mlp(5, 4, 3)
    teacher = Teacher(student)
    teacher(A)
    norm, own = student[1], teacher.module[1]
    assert not norm.running_mean.any()
    seen = (A @ student[0].weight.T).mean(0)
    assert torch.allclose(own.running_mean, 0.1 * seen, atol=1e-6)


def test_the_momentum_rises_as_half_a_cosine():
    assert cosine(0.9, 1, 0) == 0.9
    assert cosine(0.9, 1, 1) == 1
    for t in (0.25, 0.5, 0.75):  # BYOL, section 3.2, with k / K = t
        assert math.isclose(cosine(0.9, 1, t), 1 - (1 - 0.9) * (math.cos(math.pi * t) + 1) / 2)


@pytest.mark.parametrize("parts", [1, 4])
def test_a_teacher_follows_once_a_step_in_however_many_parts(parts, digits, batch, hardware):
    method = made("byol", digits)
    before = [p.clone() for p in method.target.parameters()]
    pieces = zip(*(each.chunk(parts) for each in batch[:3]), strict=True)
    batches = [Batch(*piece, batch.t) for piece in pieces]
    loop.update(method, batches, [sgd(method, lr=0.1)], hardware)
    m = cosine(method.momentum, 1, batch.t)
    student = method.online.parameters()
    for old, slow, fast in zip(before, method.target.parameters(), student, strict=True):
        assert torch.allclose(slow, m * old + (1 - m) * fast, atol=1e-6)


def test_mocos_queue_holds_the_newest_keys(digits, batch, hardware):
    method = made("moco", digits, "method.queue=80+method.shuffle=false+method.splits=1")
    expected = method.queue
    for twin in stepped(method, batch, hardware, 3):
        keys = F.normalize(twin.key(batch.x), dim=1)
        expected = torch.cat([keys, expected])[:80]
    assert torch.allclose(method.queue, expected, atol=1e-6)


def test_loocs_queues_hold_each_spaces_newest_keys(digits, batch, hardware):
    method = made("looc", digits, "method.queue=40")
    expected = method.queue
    for twin in stepped(method, batch, hardware, 2):
        keys = twin.key(batch.x)  # all keys are alike, as the views are
        expected = torch.cat([keys, expected], 1)[:, :40]
    assert torch.allclose(method.queue, expected, atol=1e-5)


def test_nnclrs_support_set_holds_the_newest_embeddings(digits, batch, hardware):
    method = made("nnclr", digits, "method.queue=80")
    expected = method.queue
    for twin in stepped(method, batch, hardware, 3):
        z = F.normalize(twin.project(twin.encoder(batch.x)), dim=1)
        expected = torch.cat([z.detach(), expected])[:80]
    assert torch.allclose(method.queue, expected, atol=1e-6)


def test_dinos_centre_is_the_moving_average_of_the_teachers_outputs(digits, batch, hardware):
    method = made("dino", digits, "method.momentum_centre=0.8")
    centre = method.centre
    for twin in stepped(method, batch, hardware, 3):
        centre = 0.8 * centre + 0.2 * twin.teacher(batch.x).mean(0)
    assert centre.any()
    assert torch.allclose(method.centre, centre, atol=1e-6)


@pytest.mark.parametrize("name", ["dino", "full"])
def test_dinos_teacher_is_warmed_up(name, digits):
    """From 0.04 to 0.07 in the first 30 epochs: of the 100 in the paper, of the 200 at full."""
    settings = composed("dino", budget="full") if name == "full" else composed("dino")
    settings["encoder"] = composed("dino")["encoder"]
    method, epochs = assembled(settings, about(digits)), 200 if name == "full" else 100
    for epoch, expected in ((0, 0.04), (10, 0.05), (15, 0.055), (30, 0.07), (90, 0.07)):
        assert math.isclose(method.temperature_at(epoch / epochs), expected)
    assert math.isclose(method.frozen, 1 / epochs)


def test_swavs_queue_helps_to_balance_once_it_is_full(digits, batch, hardware):
    """Section 3.1: codes are those of the batch, balanced over the batch and the queue."""
    method = made("swav", digits, "method.queue=48+method.queue_start=0.2")
    early = batch._replace(t=0.1)
    list(method.step(early))
    assert not method.queue.any()
    plain, twin = copy.deepcopy(method), copy.deepcopy(method)
    plain.queue = plain.queue[:, :0]
    assert torch.equal(next(twin.step(batch)), next(plain.step(batch)))  # it is not full yet
    seen = []
    for _ in range(2):
        twin = copy.deepcopy(method)
        seen.insert(0, twin.embed(twin.encoder(batch.x)).detach())
        loop.update(method, [batch], [sgd(method, lr=0.1)], hardware)
    assert torch.allclose(method.queue[0], torch.cat(seen)[:48], atol=1e-6)
    twin = copy.deepcopy(method)
    scores = twin.prototypes(twin.embed(twin.encoder(batch.x)))
    again = made("swav", digits, "method.queue=48+method.queue_start=0.2")
    again.load_state_dict(method.state_dict())  # as a run that goes on does
    loss = next(method.step(batch))
    assert torch.equal(next(again.step(batch)), loss)
    every = torch.cat([scores, twin.prototypes(twin.queue[0])])
    codes = sinkhorn(every, twin.epsilon, twin.iterations)[: len(scores)]
    total = 0.0
    for row, code in zip(scores.tolist(), codes.tolist(), strict=True):
        p = softmax([score / twin.temperature for score in row])
        total -= sum(q * math.log(x) for q, x in zip(code, p, strict=True))
    assert close(loss, total / len(codes))


def test_dinos_teacher_is_centred_and_sharpened(digits, batch):
    method = made("dino", digits)
    method.centre = torch.linspace(-0.1, 0.1, len(method.centre))
    twin = copy.deepcopy(method)
    loss = next(method.step(batch))
    t, s = twin.teacher(batch.x), twin.student(batch.x)
    total = 0.0
    for teacher, student in zip(t.tolist(), s.tolist(), strict=True):
        centred = zip(teacher, method.centre.tolist(), strict=True)
        p = softmax([(x - c) / 0.07 for x, c in centred])  # after the warm-up
        q = softmax([x / method.temperature for x in student])
        total += -sum(x * math.log(y) for x, y in zip(p, q, strict=True))
    assert close(loss, total / len(t))
