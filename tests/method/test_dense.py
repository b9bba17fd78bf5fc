"""Methods that compare positions or patches, against plain loops."""

import math

import pytest
import torch
import torch.nn.functional as F

from support.joint import made, stepped
from support.loops import close, cos, dot, softmax
from support.models import about, assembled, composed
from unlabel.augment import Augment, Crop, Flip
from unlabel.augment.places import locations
from unlabel.errors import UserError
from unlabel.method.cpc import overlapping
from unlabel.method.densecl import correspondence
from unlabel.method.vicreg import covariance, variance
from unlabel.method.vicregl import match, vicreg

GENERATOR = torch.Generator().manual_seed(1)
P, Q = (torch.randn(3, 4, 5, generator=GENERATOR) for _ in range(2))  # 4 positions of 3 images


def test_patches_overlap_by_half():
    x = torch.arange(64.0).view(1, 1, 8, 8)
    tiles = overlapping(x, 3)
    assert tiles.shape == (1, 3, 3, 1, 4, 4)
    for i in range(3):
        for j in range(3):
            assert torch.equal(tiles[0, i, j, 0], x[0, 0, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4])


def test_cpc_predicts_each_patch_below_among_those_of_all_images(digits, batch):
    method = made("cpc", digits).eval()
    loss = next(method.step(batch._replace(x=batch.x[:4])))
    z = torch.stack([method.encoder(overlapping(x[None], 3).flatten(0, 2)) for x in batch.x[:4]])
    z = z.view(4, 3, 3, -1)
    context = method.look(z.permute(0, 3, 1, 2))
    means = []
    for k, predict in enumerate(method.predict, 1):
        keys = [z[b, i, j] for b in range(4) for i in range(k, 3) for j in range(3)]
        total, n = 0.0, 0
        for b in range(4):
            for i in range(3 - k):
                for j in range(3):
                    guess = predict(context[b, :, i, j])
                    shares = softmax([cos(guess, key) / 0.1 for key in keys])
                    total -= math.log(shares[n])
                    n += 1
        means.append(total / n)
    assert close(loss, sum(means) / len(means))


def test_the_context_of_cpc_does_not_see_below(digits):
    method = assembled(composed("cpc"), about(digits)).eval()
    z = torch.randn(1, method.encoder.dim, 3, 3)
    before = method.look(z)
    z[:, :, 2] += 1
    after = method.look(z)
    assert torch.equal(before[:, :, :2], after[:, :, :2])
    assert not torch.equal(before[:, :, 2], after[:, :, 2])


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("method.grid=30", "method.grid is 30, too many for 16 pixels"),
        ("method.steps=3", "method.steps is 3, but there are 3 rows of patches"),
    ],
)
def test_patches_that_do_not_fit_are_refused(digits, variant, said):
    with pytest.raises(UserError, match=said):
        assembled(composed("cpc", variant), about(digits))


def test_correspondence_is_equation_3_of_densecl():
    for h, h_, found in zip(P, Q, correspondence(P, Q).tolist(), strict=True):
        assert found == [max(range(4), key=lambda j, a=a: cos(a, h_[j])) for a in h]


def test_densecl_is_equation_4_and_its_queues_hold_the_newest(digits, batch, hardware):
    method = made("densecl", digits, "method.dense=0.3+method.momentum=0.5+method.queue=80")
    x = batch.x[:6]
    batch, queue = batch._replace(x=x), method.queue

    def loss(q, k, others):
        shares = softmax([cos(q, k) / 0.2, *(dot(F.normalize(q, dim=0), e) / 0.2 for e in others)])
        return -math.log(shares[0])

    for twin in stepped(method, batch, hardware, 2):
        (h, q, dense), (h_, k, dense_) = twin.query(x), twin.key(x)
        images = [loss(a, b, queue[0]) for a, b in zip(q, k, strict=True)]
        positions = []
        for n in range(6):
            for place, own in zip(h[n], dense[n], strict=True):
                alike = [cos(place, other) for other in h_[n]]
                positions.append(loss(own, dense_[n, alike.index(max(alike))], queue[1]))
        expected = 0.7 * sum(images) / 6 + 0.3 * sum(positions) / len(positions)
        assert close(next(twin.step(batch)), expected)
        new = torch.stack([F.normalize(k, dim=1), F.normalize(dense_.mean(1), dim=1)])
        queue = torch.cat([new, queue], 1)[:, :80]
    assert torch.allclose(method.queue, queue, atol=1e-5)


def test_locations_are_where_the_view_shows_the_image():
    """A picture of coordinates, cut and mirrored, shows where each cell was."""
    size = 32
    line = (torch.arange(size) + 0.5) / size
    x = torch.stack([line[:, None].expand(size, size), line.expand(size, size)])[None]
    x = x.repeat(6, 1, 1, 1)
    augment = Augment(crop=Crop(scale=(0.3, 0.6)), flip=Flip(p=0.5))
    torch.manual_seed(0)
    draw = augment.draw(x)
    assert draw["flip"].any()
    assert not draw["flip"].all()
    view = augment.apply(x, draw)
    shown = F.avg_pool2d(view, size // 4).flatten(2).mT  # (6, 16, 2)
    assert torch.allclose(shown, locations(draw, (4, 4), x), atol=0.02)
    whole = locations({}, (2, 2), x)[0].tolist()
    assert whole == [[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]]


def test_the_closest_pairs_of_nearest_positions_are_kept():
    distance = torch.cdist(P, Q)
    first, second = match(P, Q, distance, 2)
    for n in range(3):
        pairs = []
        for i in range(4):
            j = min(range(4), key=lambda j, n=n, i=i: float(distance[n, i, j]))
            pairs.append((float(distance[n, i, j]), i, j))
        for at, (_, i, j) in enumerate(sorted(pairs)[:2]):
            assert torch.equal(first[n, at], P[n, i])
            assert torch.equal(second[n, at], Q[n, j])


def test_the_criterion_of_positions_is_that_of_images_at_each_position():
    total = 0.0
    for p in range(4):
        z, z_ = P[:, p], Q[:, p]
        squares = [
            (a - b) ** 2 for a, b in zip(z.flatten().tolist(), z_.flatten().tolist(), strict=True)
        ]
        total += 25 * sum(squares) / len(squares) + 10 * float(variance(z) + variance(z_))
        total += 2 * float(covariance(z) + covariance(z_))
    assert close(vicreg(P, Q, (25, 10, 2)), total / 4)
    assert close(vicreg(P[:, 0], Q[:, 0], (1, 0, 0)), float((P[:, 0] - Q[:, 0]).square().mean()))


def test_vicregl_weighs_images_and_positions(digits, batch):
    method = made("vicregl", digits, "method.alpha=0.6")
    loss = next(method.step(batch))
    said = method.measures
    z = method.embed(method.encoder(batch.x)).detach()
    of_images = vicreg(z, z, (25, 25, 1)).item()
    assert close(loss, 0.6 * of_images + 0.4 * said["local_loss"].item())
