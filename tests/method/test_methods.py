"""Every method obeys the one interface. A new params/method/*.yaml is tested with no edit here."""

from functools import cache
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from support.models import METHODS, PARAMS, TRAINED, about, assembled, composed, encoder_of, noise
from support.waits import Waits, reproducible
from unlabel.errors import UserError
from unlabel.hardware import Hardware
from unlabel.params.settings import build
from unlabel.training import checkpoint
from unlabel.training.loop import Training, fit

TRAINING = Training(epochs=2, batch=16)


def prepare(name, data, hardware):
    settings = composed(name)
    method = hardware.move(assembled(settings, about(data)))
    optimizers = [build(settings["optimizer"], module=p) for p in method.players()]
    return method, optimizers


def train(name, data, hardware, training=TRAINING):
    method, optimizers = prepare(name, data, hardware)
    return method, [s.losses for s in fit(method, data, optimizers, training, hardware, 0)]


# The nuclear norm needs singular values, and torch asks the GPU whether they were found.
WAITS = {"mmcr": {"_linalg_svd": 1}}
CLUSTERS = "deepcluster_v2"  # it does in this step, and not in each; see test_clusters.py


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 20, 20)], ids=str)
@pytest.mark.parametrize("name", TRAINED)
def test_losses_are_finite_the_encoder_moves_and_no_gpu_would_be_waited_for(name, shape, hardware):
    data = noise(shape)
    before = assembled(composed(name), about(data)).encoder.state_dict()
    method, optimizers = prepare(name, data, hardware)
    loop = fit(method, data, optimizers, TRAINING, hardware, 0, logged=lambda number: number != 2)
    steps = [next(loop)]
    with Waits() as waits, reproducible():
        steps.append(next(loop))
    steps += loop
    assert name == CLUSTERS or waits.found == WAITS.get(name, {})
    assert not steps[1].measures
    losses = [step.losses for step in steps]
    assert len(losses) == TRAINING.steps(len(data.id)) == 4
    assert all(len(step) == len(method.players()) for step in losses)
    assert torch.tensor(losses).isfinite().all()
    after = method.encoder.state_dict()
    assert any(not torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", [name for name in TRAINED if "vit" not in encoder_of(name)])
@pytest.mark.parametrize("shape", [(3, 27, 27), (3, 21, 27)], ids=str)
def test_images_may_be_of_any_size_and_batches_small(name, shape, hardware):
    data = noise(shape, n=11)  # three are left over in an epoch
    try:
        method, losses = train(name, data, hardware, Training(epochs=2, batch=8))
    except UserError as error:  # of methods that turn images
        if shape[1] == shape[2] or "choose a square size" not in str(error):
            raise
        return
    assert len(losses) == 2
    assert torch.tensor(losses).isfinite().all()
    shown = method.eval().show(torch.rand(3, *shape))
    assert all(picture.isfinite().all() for picture in shown.values())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", [name for name in TRAINED if name not in (CLUSTERS, *WAITS)])
def test_no_step_waits_for_the_gpu(name):
    hardware = Hardware().resolve()
    hardware.configure()
    data = hardware.hold(noise((3, 32, 32)))
    method, optimizers = prepare(name, data, hardware)
    loop = fit(method, data, optimizers, TRAINING, hardware, 0, logged=lambda number: number != 2)
    next(loop)
    torch.cuda.set_sync_debug_mode("error")
    try:
        next(loop)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@cache
def whole(name):
    """The weights after a training, and its losses; to be looked at only."""
    hardware = Hardware(device="cpu", precision="float32")
    hardware.configure()
    method, losses = train(name, noise((1, 16, 16)), hardware)
    return method.state_dict(), losses, method.labels


@pytest.mark.parametrize("name", TRAINED)
def test_same_seed_same_bits(name, hardware):
    first = whole(name)[0]
    second = train(name, noise((1, 16, 16)), hardware)[0].state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", TRAINED)
def test_resumed_equals_uninterrupted_to_the_bit(name, hardware, tmp_path):
    data, path = noise((1, 16, 16)), tmp_path / "state.safetensors"
    method, optimizers = prepare(name, data, hardware)
    for step, _ in enumerate(fit(method, data, optimizers, TRAINING, hardware, 0), 1):
        if step == 2:
            checkpoint.save(path, method, optimizers, {"identity": {}, "step": step})
            break
    method, optimizers = prepare(name, data, hardware)
    start = checkpoint.load(path, method, optimizers, {})["step"]
    list(fit(method, data, optimizers, TRAINING, hardware, 0, start))

    expected, got = whole(name)[0], method.state_dict()
    assert expected.keys() == got.keys()
    assert [key for key in expected if not torch.equal(expected[key], got[key])] == []


@pytest.mark.parametrize("name", METHODS)
def test_what_it_shows_are_images(name, hardware):
    data = noise((1, 16, 16))
    method = assembled(composed(name), about(data)).eval()
    for caption, shown in method.show(hardware.pixels(data.image[:8])).items():
        assert caption
        assert shown.ndim == 4
        assert shown.shape[1] in (1, 3)
        assert shown.isfinite().all()


@pytest.mark.parametrize("name", METHODS)
def test_what_it_embeds_has_a_row_for_each_image(name, hardware):
    data = noise((1, 16, 16))
    method = assembled(composed(name), about(data)).eval()
    h = method.encoder(hardware.pixels(data.image[:8]))
    z = method.embed(h)
    assert h.shape == (8, method.encoder.dim)
    assert z is None or (z.ndim == 2 and len(z) == 8)


@pytest.mark.parametrize("name", METHODS)
def test_every_value_of_the_recipe_survives_composition(name):
    recipe = OmegaConf.to_container(OmegaConf.load(PARAMS / f"method/{name}.yaml"))
    recipe.pop("defaults", None)
    recipe["method"].pop("teacher", None)  # becomes a network and its start
    assert missing(recipe, composed(name)) == []


def missing(small, big, where=""):
    if not isinstance(small, dict):
        return [] if small == big else [where]
    return [
        m
        for k, v in small.items()
        for m in (missing(v, big[k], f"{where}.{k}") if k in big else [f"{where}.{k}"])
    ]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("budget", [path.stem for path in (PARAMS / "budget").glob("*.yaml")])
def test_every_recipe_composes_at_every_budget(name, budget):
    assert composed(name, budget=budget)["method"]["_target_"].startswith("unlabel.method.")


@pytest.mark.parametrize("name", METHODS)
def test_the_recipe_says_what_the_method_is(name):
    says = composed(name)["about"]
    assert says["title"]
    assert says["family"]
    assert says["summary"].endswith(".")
    module = Path(PARAMS.parent, "ssl", *composed(name)["method"]["_target_"].split(".")[:-1])
    text = module.with_suffix(".py").read_text()
    assert str(says.get("arxiv", "")) in text


@pytest.mark.parametrize("name", TRAINED)
def test_methods_that_see_labels_say_so(name, hardware):
    """Other labels, and other groups of equal ones, change nothing where none are seen."""
    data = noise((1, 16, 16))
    other = data._replace(label=torch.arange(len(data.id)) // 2 % 4)
    _, losses, labels = whole(name)
    _, with_other = train(name, other, hardware)
    assert (losses == with_other) != labels
