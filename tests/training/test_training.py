"""The loop: schedules, optimizers, accumulation, divergence, and taking a run up again."""

import math

import pytest
import torch
from torch import nn

from support.models import about, assembled, composed
from unlabel.errors import UserError
from unlabel.method import Batch, Method
from unlabel.training.log import Log
from unlabel.training.loop import Step, Training, fit, schedule, update
from unlabel.training.optimizer import sgd


def test_the_schedule_warms_up_and_then_falls_as_a_cosine():
    rates = [schedule(step, 100, 10) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    for step in range(10, 100):
        expected = 0.5 * (1 + math.cos(math.pi * (step - 10) / 90))
        assert math.isclose(rates[step], expected)
    assert rates[-1] > 0


def test_a_fractional_warm_up_does_not_pass_the_full_rate():
    rates = [schedule(step, 114, 9.5) for step in range(114)]  # half an epoch of 19 steps
    assert rates[8:10] == pytest.approx([9 / 9.5, 1.0])
    assert max(rates) == 1.0
    assert sorted(rates[9:], reverse=True) == rates[9:]


@pytest.mark.parametrize("warmup", [2, 2.5])
def test_a_warm_up_as_long_as_the_training_is_refused(warmup):
    with pytest.raises(UserError, match=f"training.warmup is {warmup}, but there are only 2 epoch"):
        Training(epochs=2, batch=10, warmup=warmup).steps(100)


class Linear(Method):
    """Without batch norm, so that a batch in parts has the gradient of the whole."""

    def __init__(self, encoder, data):
        super().__init__(encoder, data)
        self.head = nn.Linear(256, 1)
        self.seen = []

    def step(self, batch):
        self.seen.append(batch.i.tolist())
        yield self.head(batch.x.flatten(1)).square().mean()


def test_a_batch_in_parts_has_the_gradient_of_the_whole(digits, hardware):
    def trained(accumulate):
        torch.manual_seed(0)
        method = Linear(nn.Identity(), about(digits))
        training = Training(epochs=2, batch=100, accumulate=accumulate)
        list(fit(method, digits, [sgd(method)], training, hardware, 0))
        return method

    whole, parts = trained(1), trained(4)
    assert torch.allclose(whole.head.weight, parts.head.weight, atol=1e-5)
    assert [len(i) for i in whole.seen] == [100] * 10
    assert [len(i) for i in parts.seen] == [25] * 40
    for epoch in (whole.seen[:5], whole.seen[5:]):
        assert sorted(i for batch in epoch for i in batch) == list(range(500))
    assert whole.seen[0] != whole.seen[5]


class TwoPlayers(Method):
    def __init__(self, encoder, data):
        super().__init__(encoder, data)
        self.one, self.two = nn.Linear(4, 1), nn.Linear(4, 1)

    def players(self):
        return [self.one, self.two]

    def step(self, batch):
        before = self.one.weight.clone()
        yield self.one(batch.x).mean() + self.two(batch.x).mean()
        assert not torch.equal(before, self.one.weight), "the lines after a yield see the update"
        yield self.one(batch.x).mean() + self.two(batch.x).mean()


def test_each_loss_updates_its_own_player_alone(hardware):
    method = TwoPlayers(nn.Identity(), None)
    before = {name: p.clone() for name, p in method.named_parameters()}
    batch = Batch(torch.rand(8, 4), torch.zeros(8), torch.arange(8), 0.0)
    optimizers = [sgd(method.one), sgd(method.two, lr=0.0)]
    losses = update(method, [batch], optimizers, hardware)
    assert len(losses) == 2
    assert not torch.equal(before["one.weight"], method.one.weight)
    assert torch.equal(before["two.weight"], method.two.weight)


def test_a_method_that_yields_too_many_or_too_few_losses_is_an_error(hardware):
    method = TwoPlayers(nn.Identity(), None)
    batch = Batch(torch.rand(8, 4), torch.zeros(8), torch.arange(8), 0.0)
    with pytest.raises(ValueError, match="shorter"):
        update(method, [batch], [sgd(method.one)], hardware)
    method.players = lambda: [method.one]
    with pytest.raises(TypeError, match="more losses than players"):
        update(method, [batch], [sgd(method.one)], hardware)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(UserError, match=r"training.batch is 64, but there are only 63 images"):
        Training(epochs=1, batch=64).steps(63)


def test_a_loss_that_is_not_finite_stops_the_run(digits, hardware):
    method = assembled(composed("simclr"), about(digits))
    log = Log(method, digits, 400, 4, hardware)
    log.start()
    for step in range(1, 4):
        log.add(step, Step([torch.tensor(1.0)], {}, 1.0), 0.1)
    log.add(4, Step([torch.tensor(torch.nan)], {}, 1.0), 0.1)
    with pytest.raises(
        UserError, match=r"SimCLR: the loss is \[nan\] at step 4 of 400.*optimizer.lr"
    ):
        log.state(4)
    for step in range(5, 10):
        log.add(step, Step([torch.tensor(1.0)], {}, 1.0), 0.1)
    with pytest.raises(UserError, match="at step 4 of 400"):
        log.add(10, Step([torch.tensor(1.0)], {}, 1.0), 0.1)
