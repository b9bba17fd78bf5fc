"""What follows an update: moving averages, queues and centres."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from support.joint import made, stepped
from support.loops import A, close, softmax
from unlabel.method import Batch
from unlabel.nn.layers import Teacher, cosine, mlp
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
    method = made("moco", digits, "method.queue=80,method.shuffle=false,method.splits=1")
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


def test_dinos_teacher_is_centred_and_sharpened(digits, batch):
    method = made("dino", digits)
    method.centre = torch.linspace(-0.1, 0.1, len(method.centre))
    twin = copy.deepcopy(method)
    loss = next(method.step(batch))
    t, s = twin.teacher(batch.x), twin.student(batch.x)
    total = 0.0
    for teacher, student in zip(t.tolist(), s.tolist(), strict=True):
        centred = zip(teacher, method.centre.tolist(), strict=True)
        p = softmax([(x - c) / method.temperature_teacher for x, c in centred])
        q = softmax([x / method.temperature for x in student])
        total += -sum(x * math.log(y) for x, y in zip(p, q, strict=True))
    assert close(loss, total / len(t))
