"""The bound on mutual information, against plain loops and where the truth is known."""

import math
from dataclasses import replace

import pytest
import torch
import yaml

from support.clouds import clouds
from support.loops import A, B, cos, softmax
from support.models import PARAMS
from unlabel.cli import main
from unlabel.data import images
from unlabel.features.split import Split, Views
from unlabel.params.settings import load
from unlabel.probe.information import Information, bound, classmates

PROBE = Information(candidates=[2, 16, 256], temperatures=[0.05, 0.5])


def test_the_bound_is_log_n_minus_the_loss_of_blocks_of_n():
    loss = 0.0
    for start in (0, 3):  # of 8 pairs, two are left over
        for i in range(start, start + 3):
            logits = [cos(A[i], B[j]) / 0.2 for j in range(start, start + 3)]
            loss -= math.log(softmax(logits)[i - start])
    assert math.isclose(bound(A, B, 3, 0.2), math.log(3) - loss / 6, rel_tol=1e-4)


def classes(n: int, count: int, seed: int = 0) -> Split:
    """Images that show their class and nothing else."""
    label = torch.randint(count, (n,), generator=torch.Generator().manual_seed(seed))
    unknown = torch.empty(n, 0, dtype=torch.int64)
    return Split(torch.arange(n), label, unknown, torch.eye(count)[label])


@pytest.mark.parametrize("count", [4, 12])
def test_of_two_images_of_a_class_it_reaches_the_truth_and_never_exceeds_it(count):
    """They share the class and nothing else: their mutual information is log of the classes."""
    split = classes(8000, count)
    features = replace(clouds(), validation=classes(2000, count, 1), test=split)
    found = PROBE.measure(features, 0)
    for n in (2, 16, 256):
        value = found[f"class_information_{n}"]
        # what is lost because a candidate of the same class is as good as the right one
        same = torch.distributions.Binomial(n - 1, torch.tensor(1 / count))
        k = torch.arange(n)
        lost = float((same.log_prob(k.float()).exp() * (k + 1).log()).sum())
        assert math.isclose(value, math.log(n) - lost, abs_tol=0.06)
        assert value < min(math.log(n), math.log(count)) + 0.01
    assert found["class_information_256"] > math.log(count) - 0.1


def test_classmates_are_two_images_of_one_class_and_each_image_is_in_one_pair():
    split = classes(501, 5)
    label = split.label.clone()
    label[::7] = -1
    split = split._replace(label=label, h=torch.arange(501.0)[:, None])
    first, second = (each.flatten().long() for each in classmates(split, 3))
    assert torch.equal(label[first], label[second])
    assert (label[first] >= 0).all()
    assert len(set(torch.cat([first, second]).tolist())) == 2 * len(first)
    assert 2 * len(first) >= (label >= 0).sum() - 5
    assert not torch.equal(label[first], label[first].sort().values)
    assert torch.equal(classmates(split, 3)[0], classmates(split, 3)[0])
    assert not torch.equal(classmates(split, 3)[0], classmates(split, 4)[0])


def test_of_views_it_is_measured_on_pairs_that_did_not_choose_the_temperature():
    draw = torch.Generator().manual_seed(0)
    h = torch.randn(64, 8, generator=draw)
    z, z_ = h[:, :4], h[:, :4] + 0.1 * torch.randn(64, 4, generator=draw)
    views = {"all": Views(torch.arange(64), h, -h, z, z_)}
    found = PROBE.measure(replace(clouds(), views=views), 0)
    best = {n: max((bound(z[:32], z_[:32], n, t), t) for t in (0.05, 0.5))[1] for n in (2, 16)}
    for n, t in best.items():  # z, as the loss compares it; there are too few pairs for 256
        assert found[f"information_{n}"] == bound(z[32:], z_[32:], n, t)
    assert "information_256" not in found
    plain = {"all": Views(torch.arange(64), h, h)}
    found = PROBE.measure(replace(clouds(), views=plain), 0)
    assert math.isclose(found["information_16"], math.log(16), abs_tol=0.01)


def test_images_of_known_information_make_enough_pairs_for_all_candidates(tmp_path):
    recipe = load(PARAMS / "dataset/shapes_hue_position.yaml")
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump({"name": "known", "dataset": recipe}))
    paths = {split: tmp_path / f"{split}.arrow" for split in ("train", "validation", "test")}
    flags = {"params": tmp_path / "dataset.yaml", "raw": tmp_path, **paths}
    main(["prepare", *(word for k, v in flags.items() for word in (f"--{k}", str(v)))])
    most = max(load(PARAMS / "probe/information.yaml")["candidates"])
    for split in ("validation", "test"):  # one chooses the critic, the other gives the bound
        counts = images.read(paths[split])[0].label.bincount()
        assert len(counts) == 24
        assert (counts // 2).sum() >= most
