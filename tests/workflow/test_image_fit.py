"""What methods and encoders say of images' sizes before anything is trained is true."""

import re
from pathlib import Path

import pytest
import torch

from support.models import METHODS, PARAMS, about, assembled, composed, encoder_of, noise
from support.pixels import folder
from unlabel.data.expected import Expected
from unlabel.errors import UserError
from unlabel.method import Batch
from unlabel.params import command_line, study
from unlabel.run import Run
from unlabel.workflow import image_fit
from unlabel.workflow.plan import Plan

METHODS = [name for name in METHODS if name != "imported"]  # which needs weights
OWN = [(name, "base", (24, 40)) for name in METHODS]
VIT = [(name, "encoder=vit_mini", (28, 28)) for name in METHODS if "vit" not in encoder_of(name)]
OTHERS = [
    ("dino", "encoder=vit_mini+method.crops=2", (28, 28)),  # local views of 16 x 16
    ("dino", "encoder=vit_mini+method.crops=2", (32, 32)),
    ("simclr", "encoder=vit_tiny", (30, 30)),
    ("simclr", "encoder=vit_mini", (46, 46)),
    ("jigsaw", "method.share=0.05+method.together=false", (20, 20)),
    ("relative_position", "encoder=vit_tiny+method.framed=false", (28, 28)),
    ("mae", "encoder=resnet_mini", (28, 28)),
    ("moco_v3", "method.freeze_patches=true", (28, 28)),
]


def refused(settings: dict, size: tuple[int, int]) -> str:
    try:
        image_fit.check(settings, Expected(True, size))
    except UserError as error:
        return str(error)
    return ""


def step(settings: dict, size: tuple[int, int]) -> str:
    """What a first step of the training says if it cannot be done."""
    images = noise((3, *size), n=8)
    try:
        method = assembled(settings, about(images)).train()
        losses = list(method.step(Batch(images.pixels / 255, images.label, images.id, 0.5)))
    except UserError as error:
        return str(error)
    assert torch.stack(losses).isfinite().all() if losses else settings["method"]
    return ""


@pytest.mark.parametrize(("method", "variant", "size"), [*OWN, *VIT, *OTHERS], ids=str)
def test_what_is_said_of_images_is_what_a_step_says(method, variant, size):
    settings = composed(method, variant)
    said, found = refused(settings, size), step(settings, size)
    assert bool(said) == bool(found), (said, found)


@pytest.mark.parametrize(
    ("side", "patch"), [(20, 5), (28, 7), (30, 6), (50, 10), (21, 7), (64, 16), (46, None)]
)
def test_a_small_vits_patch_divides_the_image(side, patch):
    settings = composed("simclr", "encoder=vit_mini")
    assert bool(refused(settings, (side, side))) == (patch is None)
    if patch:
        assert assembled(settings, about(noise((1, side, side)))).encoder.patch == patch


@pytest.mark.parametrize(
    ("variant", "size", "why"),
    [
        ("encoder.model=vit_b_16", (28, 28), "28 x 28 .*Input shape indivisible by patch size"),
        ("encoder.model=vit_b_16", (32, 64), "32 x 64 .*Wrong image width"),
        ("encoder.model=vit_b_16", (64, 64), ""),
        ("encoder.model=vit_b_16+encoder.resize=224", (28, 28), ""),
        ("encoder.model=vit_b_16+encoder.resize=224", (28, 56), "224 x 448 .*Wrong image width"),
        ("encoder.model=alexnet", (28, 28), "28 x 28 .*Output size is too small"),
        ("encoder.model=alexnet+encoder.resize=64", (28, 28), ""),
        ("encoder.model=maxvit_t", (64, 64), "64 x 64 .*is invalid for input of size"),
        ("encoder.model=maxvit_t+encoder.resize=224", (64, 64), ""),
        ("encoder.model=regnet_x_400mf", (28, 28), ""),
        ("encoder.model=resnet18", (20, 12), ""),
    ],
)
def test_sizes_that_a_network_of_torchvision_cannot_see_are_named(variant, size, why):
    said = refused(composed("simclr", f"{variant}+encoder=torchvision"), size)
    network = variant.split("+")[0].removeprefix("encoder.model=")
    assert bool(said) == bool(why), said
    assert not why or re.match(f"torchvision's {network} cannot see images of {why}", said)
    assert not why or "set encoder.resize, as encoder.resize=224" in said


@pytest.mark.parametrize(
    ("method", "variant", "why"),
    [
        ("looc", "method.augment.grey=null", "method.leave_out: no transform 'grey'"),
        ("jigsaw", "method.tiles=7", "jigsaw: method.tiles=7"),
        ("cpc", "method.steps=3", "method.steps is 3, but there are 3 rows"),
        ("simmim", "method.hidden=0.999", "method.hidden is 0.999; hide some of 16 patches"),
        ("i_jepa", "method.blocks=7", "method.blocks is 7 and method.block is 0.175"),
        ("mae", "method.heads=3", r"unlabel.method.mae.MAE cannot be .* settings of method: embed"),
        ("mae", "encoder.heads=3", "unlabel.encoder.vit.ViT cannot be .* of encoder: embed_dim"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_before_training(method, variant, why):
    assert re.match(why, refused(composed(method, variant), (28, 28)))


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (
            "torchvision+method.teacher.model=alexnet",
            "torchvision's alexnet cannot see images of 2",
        ),
        ("timm+method.teacher.model=vit_small_patch16_224", "timm's vit_small"),
        ("vit_tiny+method.teacher.patch=5", "method.teacher.patch is 5"),
        ("torchvision+method.teacher.model=alexnet+method.teacher.resize=64", ""),
        ("resnet18", ""),
    ],
)
def test_a_teacher_must_see_the_images_too(network, why):
    said = refused(composed("distillation", f"encoder@method.teacher={network}"), (28, 28))
    assert bool(said) == bool(why), said
    assert said.startswith(f"the teacher: {why}" if why else "")
    assert "encoder" not in said


def test_a_network_of_torchvision_must_see_small_views_too():
    """A step shows DINO's 16 x 16 to a vision transformer for 32 x 32."""
    plain, resized = (
        f"encoder.model=vit_b_16{each}+encoder=torchvision+method.crops=2"
        for each in ("", "+encoder.resize=32")
    )
    assert "cannot see images of 16 x 16 pixels" in refused(composed("dino", plain), (32, 32))
    assert not refused(composed("dino", resized), (32, 32))


@pytest.mark.parametrize("size", [(28, 28), (60, 64), (64, 64)])
def test_what_is_said_of_a_network_of_torchvision_is_so(size):
    settings = composed("simclr", "encoder.model=alexnet+encoder=torchvision")
    encoder = assembled(settings, about(noise((1, *size)))).encoder
    try:
        seen = bool(encoder(torch.rand(2, 1, *size)).isfinite().all())
    except RuntimeError:
        seen = False
    assert seen == (not refused(settings, size))


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes the plan of a call on 40 images of two classes."""
    monkeypatch.chdir(tmp_path)
    root = folder(tmp_path / "pets", cat=range(20), dog=range(20, 40))

    def of(**config: object) -> Plan:
        chosen = command_line.asked({"dataset": "folder", "path": str(root), **config}, PARAMS)
        return Plan(PARAMS, tmp_path / "frozen", chosen)

    return of


def test_the_leaderboard_leaves_out_what_cannot_work_and_says_why(plan, capsys):
    planned = plan(size=[24, 40])
    board = study.read(PARAMS, "leaderboard")
    fitting = planned.for_dataset(board, "tiny")
    patches, square = {"mae", "random[ViT]", "i_jepa", "ibot"}, {"looc", "rotation"}
    left_out = patches | square
    assert fitting.left_out.keys() == left_out
    runs = [run for _, run in fitting.runs(PARAMS, "tiny")]
    assert {run.method for run in runs} == {*board.methods, "random"} - left_out
    assert {run.variant for run in runs} == {"base"}
    said = capsys.readouterr().err
    why = "encoder.patch is null, but images of 24 x 40"
    assert f"left out random[ViT], i_jepa, ibot, mae: {why}" in said
    assert "left out looc, rotation: images of 24 x 40 pixels cannot be rotated" in said
    planned.report(fitting, "tiny")
    with pytest.raises(UserError, match="mae is left out of 'Leaderboard': encoder.patch is null"):
        planned.page(fitting, "tiny", "mae")
    with pytest.raises(UserError, match="rotation/base: images of 24 x 40 pixels cannot be rotat"):
        planned.add(Run("tiny", "folder", "rotation", "base", 0))
    with pytest.raises(UserError, match="whose images are not square,.*similarity_rotate"):
        planned.study("invariance", "tiny")


def test_few_images_are_known_before_anything_is_done(plan):
    planned = plan()
    runs = [Run("tiny", "folder", name, "base", 0) for name in ("simclr", "moco", "nnclr")]
    for run in runs:
        planned.add(run)
    assert list(planned.fits(runs)) == [
        "folder: 28 images to train on, so batch is 28 and not 64",
        "folder: 28 images to train on, so queue is 0 and not 1,024 (moco)",
        "folder: 28 images to train on, so queue is 28 and not 1,024 (nnclr)",
    ]
    for variant, why in (
        ("training.batch=32", "training.batch is 32, but there are only 28 images"),
        ("training.images=64", "training.images is 64, but there are only 28 images"),
        ("method.queue=16", "method.queue is 16, but there are only 28 .* set it to 0 or less"),
    ):
        with pytest.raises(UserError, match=f"tiny/folder/moco/{variant}: {why}"):
            planned.add(Run("tiny", "folder", "moco", variant, 0))


def test_a_budgets_own_number_of_images_counts_too(tmp_path):
    planned = Plan(PARAMS, tmp_path / "frozen")
    run = Run("tiny", "digits", "looc", "base", 0)
    planned.add(run)
    said = "digits: 256 images to train on, so queue is 192 and not 1,024"
    assert list(planned.fits([run])) == [said]
