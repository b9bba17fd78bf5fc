"""Augmentation: `apply` is pure and does to each image what its draw says."""

import math

import pytest
import torch
import torchvision.transforms.v2.functional as reference
from torch.nn.functional import interpolate

from unlabel.augment import Augment, Blur, Crop, Flip, Grey, Jitter, Rotate, Solarize, rotate
from unlabel.augment.colour import LUMA
from unlabel.augment.resampling import enlarge, resize
from unlabel.errors import UserError


def everything() -> Augment:
    return Augment(
        crop=Crop(), flip=Flip(), jitter=Jitter(), grey=Grey(), blur=Blur(), solarize=Solarize()
    )


@pytest.fixture(
    params=[(1, 28, 28), (3, 32, 32), (3, 33, 17), (1, 8, 9), (5, 16, 16), (2, 9, 8)], ids=str
)
def x(request):
    torch.manual_seed(0)
    return torch.rand(16, *request.param)


def test_a_pair_is_two_views_one_after_the_other(x):
    augment = everything()
    torch.manual_seed(1)
    pair = augment.pair(x)
    torch.manual_seed(1)
    assert torch.allclose(pair, torch.cat([augment(x), augment(x)]), atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 40, 28), (3, 28, 40), (1, 28, 28)], ids=str)
def test_in_bfloat16_views_are_those_in_float32_but_for_rounding(shape):
    """A crop to 32 pixels may shrink one side and enlarge the other."""
    x = torch.rand(8, *shape)
    augment = Augment(crop=Crop(size=32), flip=Flip(), jitter=Jitter(), grey=Grey())
    draw = augment.draw(x)
    with torch.autocast("cpu", torch.bfloat16):
        view = augment.apply(x, draw)
    assert torch.allclose(view.float(), augment.apply(x, draw), atol=0.05)


def test_a_view_has_the_shape_and_range_of_its_image(x):
    view = everything()(x)
    assert view.shape == x.shape
    assert view.isfinite().all()
    assert view.min() >= 0
    assert view.max() <= 1


def test_the_same_draw_gives_the_same_view_and_another_draw_another(x):
    augment = everything()
    draw = augment.draw(x)
    assert torch.equal(augment.apply(x, draw), augment.apply(x, draw))
    assert not torch.equal(augment.apply(x, draw), augment.apply(x, augment.draw(x)))


def test_each_image_has_its_own_randomness_and_no_other_images(x):
    augment = everything()
    draw = augment.draw(x)
    whole = augment.apply(x, draw)
    for i in range(len(x)):
        alone = augment.apply(x[i : i + 1], {name: d[i : i + 1] for name, d in draw.items()})
        assert torch.allclose(alone[0], whole[i], atol=1e-5)


def test_composed_transforms_equal_one_after_the_other():
    torch.manual_seed(0)
    x = torch.rand(32, 3, 24, 24) * 0.4 + 0.3  # so that nothing is clamped on the way
    parts = {
        "crop": Crop(),
        "flip": Flip(),
        "blur": Blur(),
        "jitter": Jitter(0.2, 0.2, 0.2, 0.05),
        "grey": Grey(),
    }
    augment = Augment(**parts)
    draw = augment.draw(x)
    y = x
    for name, part in parts.items():
        y = Augment(**{name: part}).apply(y, {name: draw[name]})
    assert torch.allclose(augment.apply(x, draw), y, atol=1e-5)


def test_a_transform_that_is_none_is_left_out(x):
    augment = Augment(crop=None, flip=Flip(p=1))
    assert list(augment.draw(x)) == ["flip"]
    assert torch.equal(augment(x), Augment(flip=Flip(p=1))(x))


def test_a_crop_of_the_whole_image_is_the_image(x):
    box = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(len(x), 4)
    assert torch.allclose(Augment(crop=Crop()).apply(x, {"crop": box}), x, atol=1e-6)


def test_a_crop_is_torchvisions_resized_crop():
    torch.manual_seed(0)
    x = torch.rand(1, 3, 32, 32)
    box = torch.tensor([[8, 4, 16, 24]]) / 32
    ours = Augment(crop=Crop()).apply(x, {"crop": box})
    theirs = reference.resized_crop(x, 8, 4, 16, 24, [32, 32], antialias=True)
    # They differ where ours sees the pixels around the box, and theirs does not.
    assert torch.allclose(ours[..., 2:-2, 2:-2], theirs[..., 2:-2, 2:-2], atol=1e-5)


def test_shrinking_is_antialiased_as_torchs():
    x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    zero, one = torch.zeros(1, 1), torch.ones(1, 1)
    ours = resize(32, 12, zero, one) @ x @ resize(32, 12, zero, one).mT
    theirs = interpolate(x, (12, 12), mode="bilinear", antialias=True)
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(("size", "out"), [(2, 2), (7, 9), (32, 32)])
def test_enlarging_by_neighbours_is_resizing_by_a_matrix(size, out):
    x = torch.rand(64, 3, size, 5)
    length = torch.rand(64, 1)
    length[0] = 1
    start = torch.rand(64, 1) * (1 - length)
    start[1], start[2] = 0, 1 - length[2]
    expected, rows = resize(size, out, start, length), enlarge(size, out, start, length)
    assert torch.allclose(rows.matrix(), expected, atol=1e-5)
    assert torch.allclose(rows.of(x), expected[:, None] @ x, atol=1e-5)
    chosen = torch.rand(64, 1) < 0.5
    expected = torch.where(chosen[..., None], expected.flip(1), expected)
    assert torch.allclose(rows.flipped(chosen).matrix(), expected, atol=1e-5)


def test_crops_have_the_area_and_ratio_asked_for():
    torch.manual_seed(0)
    box = Crop(scale=(0.2, 0.5), ratio=(0.75, 4 / 3)).draw(torch.zeros(4000, 1, 32, 32))
    top, left, height, width = box.T
    area, ratio = height * width, width / height
    assert area.min() >= 0.2 - 1e-6
    assert area.max() <= 0.5 + 1e-6
    assert ratio.min() >= 0.75 - 1e-6
    assert ratio.max() <= 4 / 3 + 1e-6
    assert abs(area.mean() - 0.35) < 0.01
    assert abs(ratio.log().mean()) < 0.01
    assert (top + height).max() <= 1 + 1e-6
    assert (left + width).max() <= 1 + 1e-6


def test_flip_flips_just_the_chosen(x):
    chosen = torch.arange(len(x)).view(-1, 1) % 2 == 0
    y = Augment(flip=Flip()).apply(x, {"flip": chosen})
    assert torch.allclose(y[::2], x[::2].flip(-1))
    assert torch.allclose(y[1::2], x[1::2])


@pytest.mark.parametrize(
    ("values", "name", "factor"),
    [
        ((1.3, 1, 1, 0), "adjust_brightness", 1.3),
        ((1, 0.6, 1, 0), "adjust_contrast", 0.6),
        ((1, 1, 0.5, 0), "adjust_saturation", 0.5),
    ],
)
def test_jitter_is_torchvisions(values, name, factor):
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.7
    draw = torch.tensor([values] * 2, dtype=torch.float)
    ours = Augment(jitter=Jitter()).apply(x, {"jitter": draw})
    assert torch.allclose(ours, getattr(reference, name)(x, factor), atol=2e-3)


def test_hue_keeps_luma_and_a_whole_turn_is_none():
    x = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    luma = torch.tensor(LUMA).view(1, 3, 1, 1)
    for turn in (0.1, 0.5, 1.0):
        draw = torch.tensor([[1, 1, 1, turn]] * 2)
        y = Augment(jitter=Jitter()).apply(x, {"jitter": draw})
        assert torch.allclose((y * luma).sum(1), (x * luma).sum(1), atol=1e-3)
        assert torch.allclose(y, x, atol=1e-3) == (turn == 1)


def test_jitter_of_a_grey_image_is_that_of_its_colour_copy():
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    augment = Augment(jitter=Jitter(), grey=Grey())
    torch.manual_seed(0)
    draw = augment.draw(x)
    colour = augment.apply(x.expand(-1, 3, -1, -1), draw)
    assert torch.allclose(augment.apply(x, draw), colour.mean(1, keepdim=True), atol=1e-4)


def test_blur_is_a_gaussian():
    x = torch.zeros(1, 1, 21, 21)
    x[0, 0, 10, 10] = 1
    y = Augment(blur=Blur()).apply(x, {"blur": torch.tensor([[1.5]])})[0, 0]
    pixel = [math.exp(-((i - 10) ** 2) / (2 * 1.5**2)) for i in range(21)]
    for i in range(21):
        for j in range(21):
            expected = pixel[i] * pixel[j] / sum(pixel) ** 2
            assert math.isclose(y[i, j].item(), expected, abs_tol=1e-5)


def test_blur_of_zero_is_none(x):
    assert torch.allclose(Augment(blur=Blur()).apply(x, {"blur": torch.zeros(len(x), 1)}), x)


def test_solarize_inverts_bright_values():
    x = torch.tensor([0.2, 0.5, 0.9]).view(1, 1, 1, 3)
    y = Augment(s=Solarize()).apply(x, {"s": torch.tensor([[True]])})
    assert torch.allclose(y.flatten(), torch.tensor([0.2, 0.5, 0.1]))


def test_rotate_turns_each_image_by_its_own_angle():
    x = torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    y = rotate(x, torch.arange(4))
    for k in range(4):
        assert torch.equal(y[k], x[k].rot90(k, (1, 2)))


def test_rotate_says_what_is_wrong_with_oblong_images():
    with pytest.raises(UserError, match="4 x 6 pixels cannot be rotated"):
        Rotate().apply(torch.rand(2, 1, 4, 6), torch.ones(2, 1))


def test_probabilities_are_kept():
    torch.manual_seed(0)
    x = torch.zeros(4000, 1, 4, 4)
    assert abs(Flip(0.3).draw(x).float().mean() - 0.3) < 0.03
    assert abs(Grey(0.2).draw(x).float().mean() - 0.2) < 0.03
    assert abs((Blur(0.5).draw(x) > 0).float().mean() - 0.5) < 0.03
    turns = Rotate(0.75).draw(x).flatten().bincount(minlength=4) / 4000
    assert (turns - 0.25).abs().max() < 0.03
