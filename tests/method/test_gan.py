"""GAN, BiGAN and the context encoder's adversary, against their papers."""

import math

import pytest
import torch
from torch import nn

from support.batches import batch, generator, images, sigmoid
from support.models import about, assembled, composed
from unlabel.method.gan import discriminator_loss, generator_loss
from unlabel.params.settings import build
from unlabel.training.loop import update

ADVERSARIAL = [("gan", "base"), ("bigan", "base"), ("inpainting", "method.adversarial=0.5")]


def test_gan_losses_are_equation_1_and_its_form_that_does_not_saturate():
    real, fake = torch.randn(2, 6, 1, generator=generator()).unbind()
    value = sum(math.log(sigmoid(r)) for r in real.flatten().tolist()) / 6
    value += sum(math.log(1 - sigmoid(f)) for f in fake.flatten().tolist()) / 6
    assert math.isclose(discriminator_loss(real, fake).item(), -value, rel_tol=1e-5)
    deceived = sum(math.log(sigmoid(f)) for f in fake.flatten().tolist()) / 6
    assert math.isclose(generator_loss(fake).item(), -deceived, rel_tol=1e-5)


def test_a_discriminator_that_cannot_tell_loses_log_4():
    undecided = torch.zeros(5, 1)
    assert math.isclose(discriminator_loss(undecided, undecided).item(), math.log(4), rel_tol=1e-6)


@pytest.mark.parametrize(("name", "variant"), ADVERSARIAL)
def test_each_player_changes_its_own_weights_alone(name, variant, hardware):
    settings = composed(name, variant)
    method = assembled(settings, about(images())).train()
    players = method.players()
    mine = [{id(p) for p in player.parameters()} for player in players]
    assert not mine[0] & mine[1]
    assert mine[0] | mine[1] == {id(p) for p in method.parameters()}
    for turn, player in enumerate(players):
        optimizers = [_Still(p) for p in players]
        optimizers[turn] = build(settings["optimizer"], module=player)
        before = {key: p.detach().clone() for key, p in method.named_parameters()}
        update(method, [batch()], optimizers, hardware)
        for key, parameter in method.named_parameters():
            moved = not torch.equal(parameter, before[key])
            assert moved == (id(parameter) in mine[turn]), key


@pytest.mark.parametrize(("name", "variant"), ADVERSARIAL)
def test_gradients_left_over_from_the_other_players_turn_do_no_harm(name, variant, hardware):
    """The loop zeroes one player's gradients before its turn; zeroing all comes to the same."""
    settings = composed(name, variant)
    looped, plain = (assembled(settings, about(images())).train() for _ in range(2))
    optimizers = [build(settings["optimizer"], module=p) for p in looped.players()]
    for step in range(3):
        torch.manual_seed(step)
        update(looped, [batch()], optimizers, hardware)

    optimizers = [build(settings["optimizer"], module=p) for p in plain.players()]
    for step in range(3):
        torch.manual_seed(step)
        for loss, optimizer in zip(plain.step(batch()), optimizers, strict=True):
            for parameter in plain.parameters():
                parameter.grad = None
            loss.backward()
            optimizer.step()
    expected = plain.state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in looped.state_dict().items())


class _Still(torch.optim.SGD):
    """An optimizer that moves nothing."""

    def __init__(self, module: nn.Module):
        super().__init__(module.parameters(), lr=0.0)


def test_bigan_exchanges_the_labels_for_the_encoder_and_the_generator(hardware):
    """At the same discriminator, equation 3 and its converse, from the pairs themselves."""
    method, given = assembled(composed("bigan"), about(images())), batch()
    torch.manual_seed(1)
    first, second = (loss.item() for loss in method.step(given))  # no weights change in between
    torch.manual_seed(1)
    z = method.noise(given.x)
    drawn, code = method.generate(z), method.embed(method.encoder(given.x))
    real = [sigmoid(v) for v in method.discriminate(given.x, code).flatten().tolist()]
    fake = [sigmoid(v) for v in method.discriminate(drawn, z).flatten().tolist()]
    value = sum(math.log(r) + math.log(1 - f) for r, f in zip(real, fake, strict=True)) / 8
    converse = sum(math.log(1 - r) + math.log(f) for r, f in zip(real, fake, strict=True)) / 8
    assert math.isclose(first, -value, rel_tol=1e-4)
    assert math.isclose(second, -converse, rel_tol=1e-4)
