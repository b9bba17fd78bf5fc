"""What a recipe may change of a joint-embedding method."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from support.joint import made
from support.loops import close, cos
from support.models import about, assembled, composed
from unlabel.errors import UserError
from unlabel.method._views import in_one_pass
from unlabel.method.byol import regression
from unlabel.nn.batch_norm import pass_in_parts
from unlabel.training import loop
from unlabel.training.optimizer import sgd


@pytest.mark.parametrize("name", ["swav", "dino"])
def test_multi_crop_adds_local_views_in_one_pass(name, digits, batch):
    method = assembled(composed(name, "method.crops=2+method.local.crop.size=12"), about(digits))
    seen = []
    method.encoder.register_forward_hook(lambda _, x, __: seen.append(tuple(x[0].shape)))
    assert next(method.step(batch)).isfinite()
    assert seen == [(32, 1, 16, 16), (32, 1, 16, 16), (64, 1, 12, 12)]
    assert "a local view" in method.eval().show(batch.x[:4])


def test_views_in_one_pass_come_apart_again():
    views = list(torch.rand(3, 4, 1, 2, 2))
    parts = in_one_pass(lambda x: 2 * x, views)
    assert [part.tolist() for part in parts] == [(2 * view).tolist() for view in views]
    assert in_one_pass(lambda x: x, []) == []


@pytest.mark.parametrize("name", ["swav", "dino"])
def test_prototypes_are_frozen_at_first(name, digits, batch, hardware):
    method = made(name, digits, "method.frozen=0.1")
    before = method.prototypes.weight.clone()
    optimizer = sgd(method, lr=0.1)
    loop.update(method, [batch._replace(t=0.05)], [optimizer], hardware)
    assert torch.equal(before, method.prototypes.weight)
    loop.update(method, [batch._replace(t=0.1)], [optimizer], hardware)
    assert not torch.equal(before, method.prototypes.weight)


def test_split_batch_norm_sees_parts_and_shuffling_mixes_them(digits, batch):
    whole = made("moco", digits, "method.shuffle=false+method.splits=1")
    twin = copy.deepcopy(whole)
    parts = made("moco", digits, "method.shuffle=false+method.splits=4")
    parts.load_state_dict(whole.state_dict())
    keys = torch.cat([twin.key(x) for x in batch.x.chunk(4)])

    def enqueued(method):
        list(method.step(batch))
        return method.queue[: len(batch.x)]

    assert torch.allclose(enqueued(parts), F.normalize(keys, dim=1), atol=1e-6)
    whole.eval()
    mixed = made("moco", digits, "method.shuffle=true+method.splits=4").eval()
    mixed.load_state_dict(twin.state_dict())
    whole.load_state_dict(twin.state_dict())
    assert torch.allclose(enqueued(mixed), enqueued(whole), atol=1e-6)  # each in its own place


def test_parts_in_one_pass_come_to_what_parts_in_turn_come_to(digits, batch):
    apart = made("moco", digits).query
    together = copy.deepcopy(apart)
    passes = [(apart, False), (together, True)]
    z, other = (pass_in_parts(query, batch.x, 4, one_pass) for query, one_pass in passes)
    assert torch.allclose(z, other, atol=1e-5)
    z.square().sum().backward()
    other.square().sum().backward()
    slopes = zip(apart.parameters(), together.parameters(), strict=True)
    assert all(torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-4) for a, b in slopes)
    state, later = apart.state_dict(), together.state_dict()
    assert all(torch.allclose(state[key], later[key], atol=1e-5) for key in state)
    assert torch.allclose(apart(batch.x), together(batch.x), atol=1e-5)  # undivided again


def test_too_many_splits_are_explained(digits, batch):
    method = made("moco", digits, "method.splits=20")
    with pytest.raises(UserError, match=r"method.splits is 20.* batch of 32"):
        next(method.step(batch))


def test_a_frozen_patch_projection_stays_as_it_is(digits, batch, hardware):
    settings = composed("moco_v3", "encoder=vit_tiny+method.freeze_patches=true", "quick")
    method = assembled(settings, about(digits))
    before = copy.deepcopy(method.encoder.state_dict())
    loop.update(method, [batch], [sgd(method, lr=0.1, weight_decay=0.1)], hardware)
    after = method.encoder.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not any(name.startswith("conv_proj") for name in moved)


def test_patches_cannot_be_frozen_where_there_are_none(digits):
    with pytest.raises(UserError, match=r"method.freeze_patches.*encoder=vit_tiny"):
        made("moco_v3", digits, "method.freeze_patches=true")


def test_without_negatives_simclrs_loss_is_the_numerator_of_equation_1(digits, batch):
    method = made("simclr", digits, "method.negatives=false")
    twin = copy.deepcopy(method)
    loss = next(method.step(batch))
    z = twin.embed(twin.encoder(torch.cat([batch.x, batch.x])))
    n = len(batch.x)
    total = sum(cos(z[i], z[(i + n) % (2 * n)]) / method.temperature for i in range(2 * n))
    assert close(loss, -total / (2 * n))


def test_without_a_projector_simclrs_loss_is_on_the_features(digits, batch):
    method = made("simclr", digits, "method.layers=0")
    h = method.encoder(batch.x)
    assert torch.equal(method.embed(h), h)
    linear = made("simclr", digits, "method.layers=1").project
    assert [type(layer) for layer in linear] == [nn.Linear]


def test_without_a_predictor_byol_compares_the_projections(digits, batch):
    method = made("byol", digits, "method.predictor=false")
    twin = copy.deepcopy(method)
    loss = next(method.step(batch))
    assert close(loss, 2 * regression(twin.online(batch.x), twin.target(batch.x)).item())


def test_without_stop_gradient_byols_target_is_the_online_network(digits, batch):
    method = made("byol", digits, "method.stop_gradient=false")
    twin = copy.deepcopy(method)
    loss = next(method.step(batch))
    z = twin.online(batch.x)
    expected = 2 * regression(twin.predict(z), z)
    assert close(loss, expected.item())
    loss.backward()
    expected.backward()
    got, wanted = (m.encoder.stem[0].weight.grad for m in (method, twin))
    assert torch.allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize("momentum", [0, 0.9, 1])
def test_byols_momentum_can_be_constant(momentum, digits, batch, hardware):
    variant = f"method.momentum={momentum}+method.momentum_end={momentum}"
    method = made("byol", digits, variant)
    before = [p.clone() for p in method.target.parameters()]
    loop.update(method, [batch._replace(t=0.7)], [sgd(method, lr=0.1)], hardware)
    student = method.online.parameters()
    for old, slow, fast in zip(before, method.target.parameters(), student, strict=True):
        assert torch.allclose(slow, momentum * old + (1 - momentum) * fast, atol=1e-6)


def test_byols_second_augmentation_lacks_what_its_first_lacks():
    settings = composed("byol", "method.augment.jitter=null")["method"]
    assert settings["augment"]["jitter"] is None
    assert settings["augment_"]["jitter"] is None
    assert settings["augment_"]["solarize"]["p"] == 0.2


@pytest.mark.parametrize("kind", ["group", "standardised", "layer", "none"])
@pytest.mark.parametrize("name", ["simclr", "byol"])
def test_there_can_be_no_batch_norm_at_all(name, kind, digits, batch, hardware):
    variant = f"encoder.norm={kind}+method.norm={kind}"
    method = assembled(composed(name, variant), about(digits))
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in method.modules())
    losses = loop.update(method, [batch], [sgd(method, lr=0.1)], hardware)
    assert torch.stack(losses).isfinite().all()
    method.eval()
    h = method.encoder(batch.x)
    z = method.embed(h)
    alone = torch.cat([method.embed(method.encoder(x)) for x in batch.x.split(1)])
    assert torch.allclose(z, alone, atol=1e-4)  # no image is told of another


def test_a_transform_that_is_not_there_cannot_be_left_out(digits):
    settings = composed("looc")
    settings["method"]["leave_out"] = {"rotation": ["rotte"]}
    with pytest.raises(UserError, match=r"no transform 'rotte'; did you mean 'rotate'"):
        assembled(settings, about(digits))


def test_mocos_third_version_ends_both_heads_with_batch_norm(digits):
    method = made("moco_v3", digits)
    for head in (method.project, method.predict):
        assert [type(layer) for layer in head] == [
            nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear, nn.BatchNorm1d,
        ]  # fmt: skip
        assert not list(head[-1].parameters())
        assert all(layer.bias is None for layer in head if isinstance(layer, nn.Linear))


def test_cross_entropy_may_see_two_views_of_an_image(digits, batch):
    method = made("supervised", digits, "method.views=2")
    twin = copy.deepcopy(method)
    views = iter([batch.x, batch.x.flip(3)])
    method.augment = lambda x: next(views)
    loss = next(method.step(batch._replace(y=batch.y.where(batch.i > 3, -1))))
    logits = twin.classify(twin.encoder(torch.cat([batch.x, batch.x.flip(3)])))
    logits = logits.unflatten(0, (2, 32))
    known = [F.cross_entropy(logits[v, n], batch.y[n]).item() for v in (0, 1) for n in range(4, 32)]
    assert close(loss, sum(known) / len(known))


def test_supcons_head_is_that_of_the_authors(digits):
    head = made("supcon", digits).project
    assert [type(layer) for layer in head] == [nn.Linear, nn.ReLU, nn.Linear]


def test_supcon_takes_images_without_labels_for_classes_of_their_own(digits, batch):
    method = made("supcon", digits)
    twin = copy.deepcopy(method)
    loss = next(method.step(batch._replace(y=torch.full_like(batch.y, -1))))
    instances = next(twin.step(batch._replace(y=batch.i)))
    assert torch.equal(loss, instances)
