"""The loop: schedules, optimizers, accumulation, divergence, and taking a run up again."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn

from support.models import about, assembled, composed
from unlabel.data import images, subsets
from unlabel.encoder import load, save
from unlabel.errors import UserError
from unlabel.method import Batch, Method
from unlabel.nn.folding import fold_batch_norm
from unlabel.stage import pretrain
from unlabel.training import checkpoint
from unlabel.training.log import Log
from unlabel.training.loop import Step, Training, fit, schedule, update
from unlabel.training.optimizer import adamw, lars, sgd


def test_the_schedule_warms_up_and_then_falls_as_a_cosine():
    rates = [schedule(step, 100, 10) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    for step in range(10, 100):
        expected = 0.5 * (1 + math.cos(math.pi * (step - 10) / 90))
        assert math.isclose(rates[step], expected)
    assert rates[-1] > 0


def test_biases_and_norms_never_decay():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    for make in (sgd, adamw, lars):
        groups = make(module, weight_decay=0.5).param_groups
        assert [p.ndim for p in groups[0]["params"]] == [2]
        assert all(p.ndim == 1 for p in groups[1]["params"])
        assert (groups[0]["weight_decay"], groups[1]["weight_decay"]) == (0.5, 0)


def test_lars_is_algorithm_1():
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    w, b = module.weight.detach().clone(), module.bias.detach().clone()
    v, u = torch.zeros_like(w), torch.zeros_like(b)
    optimizer = lars(module, lr=0.3, momentum=0.9, weight_decay=0.1, trust=0.02)
    for _ in range(3):
        module.weight.grad, module.bias.grad = torch.randn(2, 3), torch.randn(2)
        g = module.weight.grad + 0.1 * w
        local = 0.02 * math.sqrt((w**2).sum()) / math.sqrt((g**2).sum())
        v = 0.9 * v + 0.3 * local * g
        u = 0.9 * u + 0.3 * module.bias.grad
        w, b = w - v, b - u
        optimizer.step()
    assert torch.allclose(module.weight, w, atol=1e-6)
    assert torch.allclose(module.bias, b, atol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_optimizers_are_torchs_to_the_bit_and_do_not_load_its_compiler(name):
    code = f"""if True:
        import sys, torch
        before = dict(vars(torch.optim.Optimizer))
        from unlabel.training import optimizer

        def trained(optimize):
            torch.manual_seed(0)
            module = torch.nn.Linear(30, 20)
            optimizer = optimize(module)
            for step in range(4):
                optimizer.zero_grad()
                module(torch.rand(4, 30)).square().sum().backward()
                optimizer.step()
                optimizer.load_state_dict(optimizer.state_dict())
            return torch.cat([each.flatten() for each in module.parameters()]), optimizer.defaults

        ours, defaults = trained(lambda module: optimizer.{name}(module, weight_decay=0.0))
        assert "torch._dynamo" not in sys.modules
        assert dict(vars(torch.optim.Optimizer)) == before
        kept = {{"lr", "betas", "momentum", "fused"}} & defaults.keys()
        options = {{key: defaults[key] for key in kept}} | {{"weight_decay": 0.0}}
        kind = torch.optim.{"AdamW" if name == "adamw" else "SGD"}
        theirs, _ = trained(lambda module: kind(module.parameters(), **options))
        assert torch.equal(ours, theirs)
        assert "torch._dynamo" in sys.modules
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_lars_makes_its_velocity_once():
    module = nn.Linear(3, 2)
    optimizer = lars(module)
    made = []
    for _ in range(3):
        module(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        made.append([optimizer.state[p]["velocity"].data_ptr() for p in module.parameters()])
    assert made[0] == made[1] == made[2]
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        optimizer.step()
    assert "aten::zeros_like" not in {event.key for event in profile.key_averages()}


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


def test_a_share_of_the_labels_is_wrong_and_evenly_so():
    label = torch.tensor([0] * 3000 + [1] * 3000 + [2] * 3000 + [-1] * 50)
    changed = subsets.noisy(label, 0.4, 3, 5)
    wrong = changed != label
    assert wrong.sum() == 3600
    assert (changed[-50:] == -1).all()
    for kind in range(3):
        counts = torch.bincount(changed[(label == kind) & wrong], minlength=3).tolist()
        assert counts[kind] == 0
        assert all(500 < n < 700 for n in (*counts[:kind], *counts[kind + 1 :]))
    torch.manual_seed(9)
    assert torch.equal(changed, subsets.noisy(label, 0.4, 3, 5))
    assert not torch.equal(changed, subsets.noisy(label, 0.4, 3, 6))
    more = subsets.noisy(label, 0.6, 3, 5)
    assert torch.equal(more[wrong], changed[wrong])
    assert torch.equal(subsets.noisy(label, 0.0, 3, 5), label)
    with pytest.raises(UserError, match=r"label_noise needs two classes"):
        subsets.noisy(label * 0, 0.1, 1, 5)


def test_only_what_learns_from_labels_sees_fewer_and_wrong_ones(digits, tmp_path):
    images.write(tmp_path / "train.arrow", digits, about(digits))
    few = Training(epochs=1, batch=16, images=400, labels=0.2, label_noise=0.25)

    def examples(method, training=few, seed=0):
        settings = composed(method) | {"seed": seed}
        return pretrain._examples(tmp_path / "train.arrow", training, settings)

    every, data = examples("simclr")
    assert (len(every.id), data.size) == (400, 400)
    assert torch.equal(every.label, digits.label[every.id])
    for method in ("supervised", "supcon"):
        some, data = examples(method)
        truth = digits.label[some.id]
        sizes = every.label.bincount().tolist()
        assert truth.bincount().tolist() == [int(0.2 * n + 0.5) for n in sizes]
        assert data.size == len(some.id) == pytest.approx(80, abs=3)
        assert (some.label != truth).sum() == int(0.25 * len(truth) + 0.5)
        assert set(some.id.tolist()) < set(every.id.tolist())
        assert torch.equal(some.image, digits.image[some.id])
    assert examples("supervised", seed=1)[0].id.tolist() != some.id.tolist()
    whole, _ = examples("supervised", Training(epochs=1, batch=16, images=400))
    assert torch.equal(whole.label, every.label)


def test_a_budgets_batch_fits_fewer_images_and_a_variants_is_refused(capsys):
    training = Training(epochs=1, batch=256, accumulate=8)
    fitted = pretrain._fitted(training, 220, "quick/folder/simclr/base/0")
    assert (fitted.batch, fitted.steps(220)) == (216, 1)
    said = "there are 220 images to train on, fewer than a batch of 256; the batch is 216"
    assert said in capsys.readouterr().err
    with pytest.raises(UserError, match="training.batch is 256, but there are only 216 images"):
        pretrain._fitted(training, 220, "quick/folder/simclr/training.batch=256/0")
    assert pretrain._fitted(training, 256, "") is training
    with pytest.raises(UserError, match="training.batch is 256, but there are only 4 images"):
        pretrain._fitted(training, 4, "")


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


@pytest.fixture
def state(digits, hardware, tmp_path):
    """A method, its optimizer and where its state was saved."""
    method = assembled(composed("simclr"), about(digits))
    optimizers = [adamw(method)]
    next(fit(method, digits, optimizers, Training(epochs=1, batch=32), hardware, 0))
    path = tmp_path / "state.safetensors"
    checkpoint.save(path, method, optimizers, {"identity": {"optimizer": {"lr": 0.1}}, "step": 1})
    return path, method, optimizers


def test_a_state_of_other_settings_is_refused(state):
    path, method, optimizers = state
    with pytest.raises(UserError, match=r"another run: optimizer.lr is 0.1 there and 0.2 here"):
        checkpoint.load(path, method, optimizers, {"optimizer": {"lr": 0.2}})
    assert path.exists()


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped"])
def test_a_damaged_state_is_refused(state, damage):
    path, method, optimizers = state
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes({"truncated": content[:-9], "empty": b"", "flipped": content}[damage])
    with pytest.raises(UserError, match="damaged|altered"):
        checkpoint.load(path, method, optimizers, {"optimizer": {"lr": 0.1}})
    assert path.exists()


@pytest.mark.parametrize("name", ["resnet_mini", "resnet18", "resnet50", "vit_tiny", "vit_small"])
@pytest.mark.parametrize("channels", [1, 3])
def test_encoders_obey_their_interface_and_survive_a_file(name, channels, digits, tmp_path):
    pixels = digits.image[:3].repeat(1, channels, 2, 2)
    data = about(digits._replace(image=pixels, label=digits.label[:3], id=digits.id[:3]))
    settings = composed("simclr", f"encoder={name}", budget="quick")
    encoder = assembled(settings, data).encoder.eval()
    x = pixels / 255
    with torch.no_grad():
        h, maps = encoder(x), encoder.maps(x)
    assert h.shape == (3, encoder.dim)
    assert maps.shape[:2] == (3, encoder.dim)
    save(tmp_path / "a.safetensors", encoder, settings["encoder"])
    save(tmp_path / "b.safetensors", load(tmp_path / "a.safetensors"), settings["encoder"])
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "b.safetensors")(x), h)


@pytest.mark.parametrize("name", ["resnet_mini", "resnet18", "vit_tiny"])
def test_with_batch_norm_folded_an_encoder_gives_the_same_features(name, digits):
    settings = composed("simclr", f"encoder={name}", budget="quick")
    encoder = assembled(settings, about(digits)).encoder
    x = digits.image[:32] / 255
    with torch.no_grad():
        for _ in range(5):
            encoder(x)  # so that batch norm has statistics to fold
        h, fast = encoder.eval()(x), fold_batch_norm(encoder)
        assert torch.allclose(fast(x), h, atol=1e-4 * h.abs().max().item())
        assert torch.equal(encoder(x), h)  # what was fold_batch_norm is a copy
    if name == "resnet_mini":
        assert not any(isinstance(part, nn.BatchNorm2d) for part in fast.modules())


def test_an_encoder_loads_into_plain_torchvision(digits, tmp_path):
    import torchvision
    from safetensors.torch import load_file

    pixels = digits.image[:2].repeat(1, 3, 2, 2)
    data = about(digits._replace(image=pixels, label=digits.label[:2], id=digits.id[:2]))
    settings = composed("simclr", "encoder=resnet18", budget="quick")
    encoder = assembled(settings, data).encoder.eval()
    save(tmp_path / "encoder.safetensors", encoder, settings["encoder"])

    net = torchvision.models.resnet18(num_classes=1)
    net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    net.fc = nn.Identity()
    net.load_state_dict(load_file(tmp_path / "encoder.safetensors"))
    x = pixels / 255
    with torch.no_grad():
        assert torch.allclose(net.eval()((x - 0.3) / 0.37), encoder(x), atol=1e-5)


def test_resnet_mini_is_as_small_as_it_says(digits):
    encoder = assembled(composed("simclr", budget="quick"), about(digits)).encoder
    assert 70_000 < sum(p.numel() for p in encoder.parameters()) < 90_000
    assert encoder.dim == 64


def test_tokens_of_some_patches_alone(digits):
    data = about(digits)
    settings = composed("simclr", "encoder=vit_tiny", budget="quick")
    encoder = assembled(settings, data).encoder.eval()
    x = digits.image[:2] / 255
    with torch.no_grad():
        every = encoder.tokens(x)
        same = encoder.tokens(x, torch.arange(16).expand(2, -1))
        some = encoder.tokens(x, torch.tensor([[0, 5], [3, 2]]))
    assert every.shape == (2, 17, 192)
    assert torch.allclose(every, same, atol=1e-5)
    assert some.shape == (2, 3, 192)
