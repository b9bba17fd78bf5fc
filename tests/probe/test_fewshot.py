"""Few-shot episodes, against a plain loop."""

from dataclasses import replace

import pytest
import torch

from unlabel.features.split import Features, Split
from unlabel.probe.fewshot import FewShot, half_width
from unlabel.seeds import generator


def features(classes: int = 6, each: int = 8) -> Features:
    """Overlapping clouds, one for each class."""
    draw = torch.Generator().manual_seed(0)
    centre = torch.randn(classes, 5, generator=draw)

    def split(start: int) -> Split:
        label = torch.arange(classes * each) % classes
        h = centre[label] + 0.8 * torch.randn(len(label), 5, generator=draw) + 7
        return Split(start + torch.arange(len(label)), label, label[:, None][:, :0], h)

    parts = [split(start) for start in (0, 1000, 2000)]
    return Features(*parts, {}, tuple(map(str, range(classes))))


def test_an_episode_is_decided_by_the_nearest_centroid():
    known = features()
    found = FewShot(shots=[2], queries=3, episodes=40).measure(known, 0)
    draw, mean, rates = generator("fewshot", 2, ""), known.train.h.double().mean(0).float(), []
    unit = [(h - mean) / (h - mean).norm() for h in known.test.h]
    for _ in range(40):
        kinds, right = torch.randperm(6, generator=draw)[:5].tolist(), 0
        chosen = []
        for kind in kinds:
            rows = [i for i, label in enumerate(known.test.label.tolist()) if label == kind]
            order = torch.randperm(8, generator=draw).tolist()
            chosen.append([rows[at] for at in order[:5]])
        centroids = [(unit[rows[0]] + unit[rows[1]]) / 2 for rows in chosen]
        for place, rows in enumerate(chosen):
            for row in rows[2:]:
                distances = [float((unit[row] - each).norm()) for each in centroids]
                right += distances.index(min(distances)) == place
        rates.append(right / 15)
    assert found["fewshot_2"] == pytest.approx(sum(rates) / 40)
    assert found["fewshot_2_half"] == pytest.approx(half_width(torch.tensor(rates)), rel=1e-5)
    assert 0.2 < found["fewshot_2"] < 1


def test_the_interval_holds_the_mean_of_more_episodes_as_often_as_it_says():
    every = FewShot(shots=[1], episodes=1000).measure(features(), 0)["fewshot_1"]
    probe = FewShot(shots=[1], episodes=1000)
    known = features().test
    x = torch.nn.functional.normalize(known.h - features().train.h.mean(0), dim=1)
    rates = probe._episodes(known, x, 1, generator("fewshot", "others")).split(50)
    held = [abs(float(part.mean()) - every) < half_width(part) for part in rates]
    assert sum(held) >= 16  # of 20, and 19 are expected


def test_few_images_of_a_class_give_fewer_queries_and_too_few_classes_a_sentence(capsys):
    assert 0 <= FewShot(shots=[7], episodes=3).measure(features(), 0)["fewshot_7"] <= 1
    assert capsys.readouterr().err == ""
    found = FewShot(shots=[8, 1], episodes=3).measure(features(), 0)
    assert found.keys() == {"fewshot_1", "fewshot_1_half", "validation_fewshot_1"}
    assert capsys.readouterr().err == (
        "fewshot: no episodes with 8 images of a class to learn from: 5 classes need 9 images or "
        "more in the validation and in the test split, and 0 have them\n"
    )


def test_labels_of_the_training_images_do_not_matter():
    known = features()
    train = known.train._replace(label=known.train.label.roll(1))
    probe = FewShot(episodes=20)
    assert probe.measure(known, 0) == probe.measure(replace(known, train=train), 1)
