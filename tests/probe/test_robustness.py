"""Corruptions of images, and how classifiers of clean images bear them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from support.models import about
from unlabel.data.images import Images
from unlabel.encoder.resnet_mini import ResNetMini
from unlabel.features.split import Features, Split
from unlabel.probe import _image_filters as filters
from unlabel.probe._corruptions import CORRUPTIONS, corrupted
from unlabel.probe._jpeg import compressed
from unlabel.probe._trained import Trained
from unlabel.probe.knn import KNN
from unlabel.probe.linear import Linear
from unlabel.probe.robustness import Robustness
from unlabel.seeds import generator


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    """Smooth colours with a sharp edge."""
    draw = torch.Generator().manual_seed(0)
    coarse = torch.rand(8, 3, 4, 4, generator=draw)
    image = torch.nn.functional.interpolate(coarse, (32, 32), mode="bilinear") * 0.7
    image[:, :, 8:20, 10:24] += 0.3
    return image.mul(255).round() / 255


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_repeatable_in_range_and_grows(name, x):
    changes = []
    for severity in range(5):
        out = corrupted(x, name, severity, generator(name))
        assert torch.equal(out, corrupted(x, name, severity, generator(name)))
        assert torch.equal((out * 255).round() / 255, out)
        assert 0 <= out.min() <= out.max() <= 1
        changes.append(float((out - x).square().mean()))
    assert changes[4] > 0
    if name not in ("elastic_transform", "glass_blur", "pixelate"):  # these differ in kind
        assert changes[4] > changes[0]
    for shape in ((1, 16, 16), (3, 40, 24)):  # grey, and no square
        other = corrupted(torch.rand(3, *shape), name, 4, generator(name))
        assert other.shape == (3, *shape)
        assert other.isfinite().all()


def test_there_are_the_fifteen_of_the_benchmark():
    assert len(CORRUPTIONS) == 15
    assert {"gaussian_noise", "glass_blur", "frost", "pixelate"} < CORRUPTIONS.keys()


def test_noise_has_the_strength_of_the_benchmark():
    flat = torch.full((40, 3, 32, 32), 0.5)
    draw = generator("noise")
    for severity, deviation in enumerate((0.04, 0.06, 0.08, 0.09, 0.10)):
        out = CORRUPTIONS["gaussian_noise"](flat, severity, draw)
        assert float(out.std()) == pytest.approx(deviation, rel=0.02)
    for severity, photons in enumerate((500, 250, 100, 75, 50)):
        out = CORRUPTIONS["shot_noise"](flat, severity, draw)
        assert float(out.std()) == pytest.approx((0.5 / photons) ** 0.5, rel=0.02)
    for severity, share in enumerate((0.01, 0.02, 0.03, 0.05, 0.07)):
        out = CORRUPTIONS["impulse_noise"](flat, severity, draw)
        assert float((out == 0).float().mean()) == pytest.approx(share / 2, rel=0.1)
        assert float((out == 1).float().mean()) == pytest.approx(share / 2, rel=0.1)


@pytest.mark.parametrize("quality", [80, 40])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_loses_what_libjpeg_loses(quality, mode, x):
    x = x if mode == "RGB" else x[:, :1]
    for image, mine in zip(x, compressed(x, quality), strict=True):
        pixels = (image * 255).round().byte().permute(1, 2, 0).squeeze().numpy()
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, "JPEG", quality=quality)
        theirs = np.asarray(Image.open(encoded)).astype(float)
        ours = (mine * 255).permute(1, 2, 0).squeeze().numpy()
        loss = np.abs(theirs - pixels).mean()
        assert np.abs(ours - theirs).mean() < max(0.5 * loss, 0.5)


def test_filters_are_what_they_are_called(x):
    for sigma in (0.4, 2.5):
        right = gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="nearest", truncate=4)
        assert np.allclose(filters.blurred(x, sigma), right, atol=1e-5)
    assert torch.allclose(filters.zoomed(x, 1), x, atol=1e-5)
    grey = Image.fromarray((x[0, 0] * 255).round().byte().numpy())
    for size in (30, 20, 32):
        small = np.asarray(grey.resize((size, size), Image.Resampling.BOX))
        ours = filters.boxed(x[:1, :1] * 255, size, size)[0, 0].round()
        assert np.abs(ours.numpy() - small).max() <= 1
        large = Image.fromarray(small).resize((32, 32), Image.Resampling.BOX)
        back = filters.boxed(torch.tensor(small).float()[None, None], 32, 32)
        assert np.array_equal(back[0, 0].numpy(), np.asarray(large))
    dot = torch.zeros(2, 1, 33, 33)
    dot[:, :, 16, 16] = 1
    smeared = filters.moved(dot, 6, 2, torch.tensor([0.0, 90.0]))
    weight = np.exp(-((np.arange(13) / 2) ** 2) / 2)
    weight /= weight.sum()
    assert np.allclose(smeared[0, 0, 16, 4:17].flip(0), weight, atol=2e-3)  # along the row
    assert np.allclose(smeared[1, 0, 4:17, 16].flip(0), weight, atol=2e-3)  # along the column
    cloud = filters.plasma(torch.zeros(4, 3, 24, 32), 3, generator("cloud"))
    assert cloud.shape == (4, 1, 24, 32)
    assert torch.allclose(cloud.amax((1, 2, 3)), torch.ones(4))
    smooth = filters.plasma(torch.zeros(4, 3, 32, 32), 3, generator("cloud"))
    rough = filters.plasma(torch.zeros(4, 3, 32, 32), 1.2, generator("cloud"))
    assert rough.diff(dim=3).abs().mean() > 1.5 * smooth.diff(dim=3).abs().mean()


def test_brightness_keeps_the_hue(x):
    out = CORRUPTIONS["brightness"](x, 0, generator("none"))
    assert torch.allclose(out.amax(1), (x.amax(1) + 0.05).clamp(max=1))
    assert torch.allclose(out[:, 0] * x[:, 1], out[:, 1] * x[:, 0], atol=1e-6)


def test_classifiers_of_clean_images_are_measured_on_corrupted_ones(digits, hardware):
    torch.manual_seed(0)
    encoder = hardware.move(ResNetMini(about(digits)).eval())
    parts = [digits.take(slice(at, end)) for at, end in ((0, 300), (300, 400), (400, 500))]

    def features(parts: list[Images], **changes: object) -> Trained:
        splits = []
        for part in parts:
            with torch.no_grad():
                h = encoder(hardware.pixels(part.image))
            splits.append(Split(part.id, part.label, part.factor, h))
        return Trained(encoder, parts, Features(*splits, {}, tuple("0123456789")), hardware)

    probe = Robustness(Linear([1e-3, 1e-5]), KNN(k=5), images=60)
    trained = features(parts)
    found = probe.measure_encoder(trained, 0)
    assert set(found) == {metric.name for metric in probe.metrics()}
    for kind in ("linear", "knn"):
        assert 0.5 < found[f"robustness_{kind}"] < found[f"robustness_{kind}_clean"]
        means = [found[f"robustness_{kind}_{name}"] for name in CORRUPTIONS]
        assert found[f"robustness_{kind}"] == pytest.approx(sum(means) / 15)
        means = [found[f"robustness_{kind}_severity_{number}"] for number in range(1, 6)]
        assert found[f"robustness_{kind}"] == pytest.approx(sum(means) / 5)
    snow = [found[f"robustness_linear_snow_{number}"] for number in range(1, 6)]
    assert found["robustness_linear_snow"] == pytest.approx(sum(snow) / 5)
    everything = Robustness(probe.linear, probe.knn, images=100)
    clean = everything.linear.measure(trained.features, 0)["linear"]
    few = {"gaussian_noise": CORRUPTIONS["gaussian_noise"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unlabel.probe.robustness.CORRUPTIONS", few)
        assert everything.measure_encoder(trained, 0)["robustness_linear_clean"] == clean
