"""What a study compares differs in what it asks about, and in nothing else."""

import pytest
import torch

from support.models import PARAMS, about, assembled, composed, noise
from unlabel.params import compose, study

STEPS = 60 * (5000 // 256)  # of the base: 1,140


def training(name, label):
    """The settings of an arm, at `quick`."""
    (arm,) = (each for each in study.read(PARAMS, name).groups(PARAMS) if each.label == label)
    return compose.settings(PARAMS, "quick", "digits", arm.methods[0], arm.variant)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("no_memory_bank", "512"),
        ("no_memory_bank", "64"),
        ("no_memory_bank", "512, no queue"),
        ("scale", "1,280 images"),
        ("scale", "29,184 images"),
        ("supervised_contrastive", "500 labels"),
    ],
)
def test_arms_of_equal_steps_have_them_and_the_same_warm_up(name, label):
    found = training(name, label)["training"]
    per_epoch = max(1, int(found["images"] * found["labels"]) // found["batch"])
    assert 0 <= per_epoch * found["epochs"] - STEPS <= 3
    assert found["warmup"] * per_epoch == pytest.approx(9.5, abs=0.1)


@pytest.mark.parametrize("label", ["256 in eight parts", "256 in eight parts, split in two"])
def test_a_batch_in_parts_differs_from_the_whole_in_what_a_loss_sees(label):
    """As in figure 3a of arXiv:2006.07733: the same images, steps and learning rate."""
    whole, parts = training("batch_size", "256"), training("batch_size", label)
    assert parts["optimizer"] == whole["optimizer"]
    assert parts["training"] == whole["training"] | {"accumulate": 8}


@pytest.mark.parametrize(
    "label", ["500 labels", "5,000 labels", "5,000, light views", "5,000, 40 % wrong"]
)
def test_cross_entropy_sees_what_supcon_sees(label):
    supcon = training("supervised_contrastive", label)
    entropy = training("supervised_contrastive", f"{label}, cross-entropy")
    assert supcon["method"]["augment"] == entropy["method"]["augment"]
    assert supcon["training"] == entropy["training"]
    assert supcon["optimizer"] == entropy["optimizer"]
    assert entropy["method"]["views"] == 2


def test_multi_crop_costs_no_more_pixels():
    size = 28
    plain = 2 * size**2
    for method in ("swav", "dino"):
        arm = next(
            arm
            for arm in study.read(PARAMS, "multi_crop").groups(PARAMS)
            if arm.label == "multi-crop"
        )
        found = compose.settings(PARAMS, "quick", "digits", method, arm.variant)["method"]
        views = [found["augment"], found.get("augment_", found["augment"])]
        pixels = sum(view["crop"]["size"] ** 2 for view in views)
        pixels += found["crops"] * found["local"]["crop"]["size"] ** 2
        assert pixels == pytest.approx(plain, rel=0.02)


def methods_of_statements():
    return sorted(
        {m for n in study.stated(PARAMS) for m in study.read(PARAMS, n).all_methods(PARAMS)}
    )


@pytest.mark.parametrize("name", methods_of_statements())
def test_z_is_no_longer_than_h_or_the_recipe_says_why(name):
    method = assembled(composed(name, budget="quick"), about(noise((1, 16, 16))))
    z = method.embed(torch.zeros(2, method.encoder.dim))
    said = (PARAMS / f"method/{name}.yaml").read_text()
    longer = "as long as h." in said or "z joins the three spaces" in said
    assert z is None or longer or z.shape[1] <= method.encoder.dim
