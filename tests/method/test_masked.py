"""Methods that hide patches from a vision transformer, against plain loops."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from support.joint import made
from support.loops import A, B, close, softmax
from support.models import about, assembled, composed
from unlabel.errors import UserError
from unlabel.method._patches import chosen
from unlabel.method.data2vec import average_layers
from unlabel.method.dinov2 import koleo
from unlabel.nn.patches import patchify, random_mask
from unlabel.params.settings import build


@pytest.mark.parametrize("name", ["data2vec", "dinov2", "i_jepa", "ibot", "msn", "simmim"])
def test_an_encoder_without_patches_is_refused(name, digits):
    method = "ibot" if name == "dinov2" else name
    with pytest.raises(UserError, match=f"{method} needs an encoder with patches, not ResNetMini"):
        assembled(composed(name, "encoder=resnet_mini"), about(digits))


@pytest.mark.parametrize("name", ["data2vec", "ibot", "msn", "simmim"])
def test_hiding_no_patch_is_refused(name, digits):
    with pytest.raises(UserError, match="method.hidden is 0.001; hide some of 16 patches"):
        assembled(composed(name, "method.hidden=0.001"), about(digits))


def test_a_mask_hides_equally_many_patches_at_random():
    torch.manual_seed(0)
    masks = random_mask(torch.zeros(2000, 1), 16, 5)
    assert (masks.sum(1) == 5).all()
    assert ((masks.float().mean(0) - 5 / 16).abs() < 0.05).all()


def test_the_tokens_in_a_mask_are_in_reading_order():
    tokens = torch.randn(6, 16, 3)
    mask = random_mask(tokens, 16, 5)
    expected = torch.stack([each[hidden] for each, hidden in zip(tokens, mask, strict=True)])
    assert torch.equal(chosen(tokens, mask, 5), expected)


def test_what_is_under_a_mask_is_not_seen(digits, batch):
    method = made("simmim", digits).eval()
    mask = random_mask(batch.x, 16, 10)
    patches = mask.unsqueeze(2).expand(-1, -1, 16)
    hidden = F.fold(patches.float().mT, 16, 4, stride=4) > 0
    seen = method.encoder.masked(batch.x, mask, method.token)
    other = method.encoder.masked(batch.x.where(~hidden, 0.7), mask, method.token)
    assert torch.equal(seen, other)
    assert torch.equal(
        method.encoder.tokens(batch.x), method.encoder.masked(batch.x, mask & False, method.token)
    )
    assert not torch.equal(seen, method.encoder.masked(batch.x, mask, method.token + 1))


def test_the_last_of_a_vits_layers_is_what_its_tokens_are_made_of(digits, batch):
    encoder = made("simmim", digits).encoder.eval()
    layers = encoder.layers(batch.x)
    assert layers.shape == (32, 2, 17, 64)
    assert torch.equal(encoder.encoder.ln(layers[:, -1]), encoder.tokens(batch.x))


def test_simmim_is_the_absolute_error_of_hidden_pixels(digits, batch):
    method = made("simmim", digits).eval()
    torch.manual_seed(0)
    loss = next(method.step(batch))
    torch.manual_seed(0)
    mask = random_mask(batch.x, 16, method.hidden)
    guess = method.paint(method.encoder.masked(batch.x, mask, method.token)[:, 1:])
    pixels = patchify((batch.x - method.encoder.mean) / method.encoder.std, 4)
    errors = []
    for n in range(32):
        for p in range(16):
            if mask[n, p]:
                pair = zip(guess[n, p].tolist(), pixels[n, p].tolist(), strict=True)
                errors += [abs(a - b) for a, b in pair]
    assert len(errors) == 32 * 10 * 16
    assert close(loss, sum(errors) / len(errors))


def normalised(x: list[float]) -> list[float]:
    mean = sum(x) / len(x)
    variance = sum((each - mean) ** 2 for each in x) / len(x)
    return [(each - mean) / math.sqrt(variance + 1e-5) for each in x]


def test_data2vecs_targets_are_the_mean_of_normalised_layers():
    tokens = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    target = average_layers(tokens, 2)
    assert target.shape == (2, 4, 6)
    for n in range(2):
        for p in range(4):
            layers = [normalised(tokens[n, layer, 1 + p].tolist()) for layer in (1, 2)]
            mean = [sum(each) / 2 for each in zip(*layers, strict=True)]
            assert torch.allclose(target[n, p], torch.tensor(normalised(mean)), atol=1e-5)


@pytest.mark.parametrize("beta", [2.0, 0.1])
def test_data2vec_is_equation_3(beta, digits, batch):
    method = made("data2vec", digits, f"method.beta={beta}").eval()
    torch.manual_seed(0)
    loss = next(method.step(batch))
    torch.manual_seed(0)
    mask = random_mask(batch.x, 16, method.hidden)
    target = average_layers(method.encoder.layers(batch.x), 2)  # as the teacher's
    guess = method.predict(method.encoder.masked(batch.x, mask, method.token)[:, 1:])
    errors = (guess - target)[mask].flatten().abs().tolist()
    smooth = [e**2 / 2 / beta if e <= beta else e - beta / 2 for e in errors]
    assert close(loss, sum(smooth) / len(smooth))


@pytest.mark.parametrize("t", [0.0, 0.9])
def test_data2vecs_momentum_is_constant(t, digits, batch):
    method = made("data2vec", digits, "method.momentum=0.7")
    before = [p.clone() for p in method.teacher.parameters()]
    step = method.step(batch._replace(t=t))
    next(step)
    for p in method.encoder.parameters():
        p.data = p.data + 1  # as an optimizer does
    list(step)
    student = method.encoder.parameters()
    for old, slow, fast in zip(before, method.teacher.parameters(), student, strict=True):
        assert torch.allclose(slow, 0.7 * old + 0.3 * fast, atol=1e-6)


def test_i_jepas_context_is_outside_of_all_blocks(digits, batch):
    method = made("i_jepa", digits)
    block, keep = method.draw(batch.x)
    assert (block.shape, keep.shape) == ((32, 8), (32, 8))
    for places, context in zip(block.tolist(), keep.tolist(), strict=True):
        assert not set(places) & set(context)
        assert len(set(context)) == 8
        for at in (0, 4):
            row, column = divmod(places[at], 4)
            square = [(row + i) * 4 + column + j for i in (0, 1) for j in (0, 1)]
            assert places[at : at + 4] == square
            assert row < 3
            assert column < 3


def test_i_jepa_predicts_the_teachers_tokens_of_the_blocks(digits, batch):
    method = made("i_jepa", digits).eval()
    torch.manual_seed(0)
    loss = next(method.step(batch))
    torch.manual_seed(0)
    block, keep = method.draw(batch.x)
    tokens = method.teacher.module.tokens(batch.x)[:, 1:]
    guess = method.predict(method.encoder.tokens(batch.x, keep), keep)
    total, n = 0.0, 0
    for image in range(32):
        for p in block[image].tolist():
            target = normalised(tokens[image, p].tolist())
            for a, b in zip(guess[image, p].tolist(), target, strict=True):
                e = abs(a - b)
                total += e**2 / 2 if e <= 1 else e - 0.5
                n += 1
    assert close(loss, total / n)


def test_blocks_that_may_cover_all_are_refused(digits):
    with pytest.raises(UserError, match="method.blocks is 4 and method.block is 0.175"):
        assembled(composed("i_jepa", "method.blocks=4"), about(digits))


def test_ibot_is_equations_1_to_3(digits, batch):
    variant = "method.hidden=0.5+method.norm=false+method.prototypes=7+method.shared=false"
    method = made("ibot", digits, variant).eval()
    method.centre = torch.linspace(-0.1, 0.1, 14).view(2, 7)
    torch.manual_seed(0)
    loss = next(method.step(batch))
    torch.manual_seed(0)
    masks = [random_mask(batch.x, 16, 8) for _ in range(2)]
    whole = method.encoder.tokens(batch.x)[:, 1:]  # the teacher's, as it is a copy
    seen = [method.encoder.masked(batch.x, mask, method.token)[:, 1:] for mask in masks]

    def cross_entropy(head, target, student, centre):
        t, s = head(target[None])[0].tolist(), head(student[None])[0].tolist()
        p = softmax([(x - c) / 0.04 for x, c in zip(t, centre.tolist(), strict=True)])
        q = softmax([x / 0.1 for x in s])
        return -sum(a * math.log(b) for a, b in zip(p, q, strict=True))

    image, patch = [], []
    for n in range(32):
        for view in seen:
            image.append(
                cross_entropy(
                    method.student.head, whole[n].mean(0), view[n].mean(0), method.centre[0]
                )
            )
        for view, mask in zip(seen, masks, strict=True):
            for p in mask[n].nonzero()[:, 0].tolist():
                patch.append(
                    cross_entropy(
                        method.student.patch_head, whole[n, p], view[n, p], method.centre[1]
                    )
                )
    assert close(loss, sum(image) / len(image) + sum(patch) / len(patch))


def test_ibots_centres_are_moving_averages(digits, batch):
    method = made("ibot", digits, "method.momentum_centre=0.8").eval()
    tokens = method.teacher.module.encoder.tokens(batch.x)[:, 1:]
    expected = 0.2 * method.student.head(tokens.mean(1)).mean(0)
    list(method.step(batch))
    assert torch.allclose(method.centre[0], expected, atol=1e-6)
    assert method.centre[1].any()


def test_koleo_is_its_definition():
    z = [F.normalize(row, dim=0) for row in A]
    total = 0.0
    for i, a in enumerate(z):
        total -= math.log(min(float((a - b).norm()) for j, b in enumerate(z) if j != i))
    assert close(koleo(A), total / len(z))


def test_dinov2_adds_koleo_of_each_view(digits):
    method = made("dinov2", digits, "method.koleo=0.3")
    assert close(method.regulariser([A, B]), 0.3 * (koleo(A).item() + koleo(B).item()))


def test_dinov2s_targets_are_sinkhorns_of_both_views_at_once(digits):
    method = made("dinov2", digits, "method.temperature_teacher=0.5")
    rows = [[math.exp(x / 0.5) for x in row] for row in [*A.tolist(), *B.tolist()]]
    for _ in range(method.iterations):  # the prototypes get equal shares, then each row sums to 1
        sums = [sum(column) for column in zip(*rows, strict=True)]
        rows = [[x / total for x, total in zip(row, sums, strict=True)] for row in rows]
        rows = [[x / sum(row) for x in row] for row in rows]
    assert torch.allclose(torch.cat(method.targets([A, B], 0)), torch.tensor(rows), atol=1e-5)


@pytest.mark.parametrize("name", ["data2vec", "dinov2", "i_jepa", "mae", "msn", "simmim"])
def test_methods_that_hide_patches_train_a_vision_transformer_of_timm(name, digits, batch):
    pytest.importorskip("timm")
    vit = "encoder.model=test_vit+encoder.resize=64+encoder=timm"
    method = assembled(composed(name, vit), about(digits))
    loss = next(method.step(batch))
    loss.backward()
    assert loss.isfinite()
    assert method.encoder.projection().weight.grad.abs().sum() > 0


def test_simmim_paints_a_grey_image_in_the_colours_that_its_encoder_sees(digits, batch):
    data = about(digits)
    colour = replace(data, mean=(0.3, 0.4, 0.5), std=(0.2, 0.3, 0.4))
    settings = composed("simmim")
    vit = build(settings["encoder"], "encoder", data=colour)
    method = build(settings["method"], "method", encoder=vit, data=data)
    assert next(method.step(batch)).isfinite()
    assert method.show(batch.x)["hidden patches filled in"].shape == (32, 3, 16, 16)
