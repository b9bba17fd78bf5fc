"""Joint-embedding losses against plain-loop transcriptions of their papers' equations.

The loops are in Python's floats, from the papers; then come identities between methods, and what
follows an update: queues, slow copies and centres against a computation by hand.
"""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from support.joint import made
from support.loops import A, B, cos
from support.models import about, assembled, composed
from unlabel.method.byol import regression
from unlabel.method.simsiam import distance
from unlabel.nn.layers import Teacher
from unlabel.nn.losses import info_nce
from unlabel.training.optimizer import sgd


def test_moco_without_a_queue_is_info_nce_in_the_batch(digits, batch):
    method = made("moco", digits, "method.queue=0+method.shuffle=false+method.splits=1")
    twin = copy.deepcopy(method)
    loss = next(method.step(batch))
    expected = F.cross_entropy(
        *info_nce(twin.query(batch.x), twin.key(batch.x), method.temperature)
    )
    assert torch.allclose(loss, expected, atol=1e-6)


def test_looc_with_nothing_left_out_is_moco(digits, batch):
    looc = made("looc", digits, "method.queue=64")
    looc.left_out, looc.heads = {}, looc.heads[:1]
    looc.query[1], looc.key.module[1] = looc.heads, looc.key.module[1][:1]
    looc.queue = looc.queue[:1]
    moco = made("moco", digits, "method.queue=64+method.shuffle=false+method.splits=1")
    moco.query[0], moco.query[1], moco.queue = looc.query[0], looc.heads[0], looc.queue[0]
    moco.key = Teacher(moco.query)
    assert torch.allclose(next(looc.step(batch)), next(moco.step(batch)), atol=1e-6)


def test_looc_shares_exactly_what_is_left_out_with_the_query(digits, batch):
    method = assembled(composed("looc"), about(digits))
    query, *keys = method.draws(batch.x)
    assert len(keys) == 1 + len(method.left_out)
    for key, shared in zip(keys, [[], *method.left_out.values()], strict=True):
        assert key.keys() == query.keys() == method.augment.transforms.keys()
        assert [name for name in query if torch.equal(query[name], key[name])] == [
            name for name in query if name in shared
        ]


@pytest.mark.parametrize("name", ["moco", "moco_v3", "byol", "looc", "dino"])
def test_no_gradient_reaches_the_teacher(name, digits, batch):
    method = made(name, digits)
    method.zero_grad()
    next(method.step(batch)).backward()
    (teacher,) = (m for m in method.modules() if isinstance(m, Teacher))
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    assert any(p.grad is not None and p.grad.any() for p in method.encoder.parameters())
    taught = {id(p) for p in teacher.parameters()}
    groups = sgd(method).param_groups
    assert not any(id(p) in taught for group in groups for p in group["params"])


@pytest.mark.parametrize("loss", [regression, distance])
def test_no_gradient_reaches_the_target(loss, digits):
    p, z = A.clone().requires_grad_(), B.clone().requires_grad_()
    target = Teacher(nn.Linear(5, 5))(z) if loss is regression else z
    loss(p, target).backward()
    assert p.grad is not None
    assert p.grad.any()
    assert z.grad is None


def test_what_the_pictures_compare_is_the_similarity_of_the_views(digits, batch):
    method = made("byol", digits).eval()
    shown = method.show(batch.x[:6])
    *_, (caption, picture) = shown.items()
    assert "similarity" in caption
    z = method.embed(method.encoder(batch.x[:6]))
    for i in range(6):
        for j in range(6):
            assert math.isclose(picture[0, 0, i, j], max(0, cos(z[i], z[j])), abs_tol=1e-4)
