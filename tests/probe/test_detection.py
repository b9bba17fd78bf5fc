"""Images of another dataset are detected by their distance to the training images."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from support.models import about
from unlabel.data.images import Data, Images
from unlabel.encoder import Encoder
from unlabel.features.split import Features, Split
from unlabel.probe._trained import Trained
from unlabel.probe.detection import Detection, auroc


class Means(Encoder):
    """Features are the means of the image's quarters."""

    dim = 4

    def maps(self, x):
        return F.adaptive_avg_pool2d(x.mean(1, keepdim=True), 2).flatten(1)[:, :, None, None]


def split(encoder: Encoder, images: Images) -> Split:
    h = encoder(images.image.float() / 255)
    return Split(images.id, images.label, images.factor, h)


def test_auroc_is_scikit_learns_with_ties():
    draw = np.random.default_rng(0)
    for values in (3, 1000):
        high, low = draw.integers(0, values, 50), draw.integers(0, values, 80) - values // 10
        right = roc_auc_score([1] * 50 + [0] * 80, np.concatenate([high, low]))
        assert auroc(torch.tensor(high), torch.tensor(low)) == pytest.approx(right)


def test_another_dataset_is_detected_and_a_copy_of_the_own_is_not(digits, hardware):
    parts = [digits.take(slice(at, end)) for at, end in ((0, 300), (300, 400), (400, 500))]
    encoder = Means(about(digits)).eval()
    splits = [split(encoder, part) for part in parts]
    features = Features(*splits, {}, tuple("0123456789"))
    draw = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (60, 3, 24, 24), generator=draw, dtype=torch.uint8)
    noise[:, :, 12:] //= 8  # in colour, larger, and dark below
    other = Images.of(torch.arange(60), noise, torch.full((60,), -1))
    others = {"noise": other, "copy": parts[1]}
    trained = Trained(encoder, parts, features, hardware, others=others)
    probe = Detection(others=["noise", "copy", "digits"], k=5)
    found = probe.measure_encoder(trained, 0)
    assert set(found) == {"detection_noise", "detection_copy"}  # not its own dataset
    assert found["detection_noise"] > 0.95
    assert 0.35 < found["detection_copy"] < 0.65
    bank = F.normalize(features.train.h, dim=1)
    distances = 1 - F.normalize(features.test.h, dim=1) @ bank.T
    expected = distances.sort(1).values[:, 4]
    known = probe._distance(features.test.h, bank)
    assert torch.allclose(known, expected, atol=1e-6)


def test_a_dataset_whose_channels_do_not_fit_is_left_out_and_said(digits, hardware, capsys):
    encoder = Means(about(digits)).eval()
    part = split(encoder, digits)
    two = digits._replace(image=digits.image.repeat(1, 2, 1, 1))
    others = {"radar": two, "copy": digits}
    features = Features(part, part, part, {}, tuple("0123456789"))
    trained = Trained(encoder, [digits] * 3, features, hardware, others=others)
    found = Detection(others=["radar", "copy"]).measure_encoder(trained, 0)
    assert found.keys() == {"detection_copy"}
    said = (
        "detection: not of radar: an encoder of images with 1 channels cannot see images with 2; "
    )
    assert capsys.readouterr().err.startswith(said)


def test_the_seed_and_labels_change_nothing(digits, hardware):
    assert isinstance(about(digits), Data)
    encoder = Means(about(digits)).eval()
    part = split(encoder, digits)
    found = []
    for seed, label in ((0, part.label), (1, part.label.roll(3))):
        each = part._replace(label=label)
        features = Features(each, each, each, {}, tuple("0123456789"))
        trained = Trained(encoder, [digits] * 3, features, hardware, others={"d": digits})
        found.append(Detection(others=["d"]).measure_encoder(trained, seed))
    assert found[0] == found[1]
