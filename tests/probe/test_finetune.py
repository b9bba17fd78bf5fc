"""Fine-tuning chooses by the validation split, and gives the same bits twice."""

import json

import pytest
import torch

from support.extracted import RUN, SPLITS, flags
from support.models import about, assembled, composed
from unlabel.cli import main
from unlabel.data.images import Images
from unlabel.errors import UserError
from unlabel.params.settings import build
from unlabel.probe import finetune


def tuner(**settings: object) -> finetune.Finetune:
    recipe = composed("simclr")["finetune"] | {"batch": 64, "fractions": [0.5], "steps": [10]}
    return build(recipe | settings, "finetune")


@pytest.fixture
def parts(digits):
    return [Images(*(each[a:b] for each in digits)) for a, b in ((0, 300), (300, 400), (400, 500))]


def test_finetuning_gives_the_same_bits_twice(parts, digits, hardware):
    backbone = assembled(composed("simclr"), about(digits)).encoder
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    first = tuner().measure(backbone, about(digits), parts, hardware, 0)
    torch.manual_seed(99)
    assert first == tuner().measure(backbone, about(digits), parts, hardware, 0)
    assert first != tuner().measure(backbone, about(digits), parts, hardware, 1)
    assert all(torch.equal(before[name], t) for name, t in backbone.state_dict().items())


def test_finetuning_starts_from_the_linear_classifier_and_learns(parts, digits, hardware):
    backbone = assembled(composed("simclr"), about(digits)).encoder
    still = tuner(steps=[0]).measure(backbone, about(digits), parts, hardware, 0)
    assert still["finetune_50"] > 0.4  # chance is 0.1
    moved = tuner(steps=[80]).measure(backbone, about(digits), parts, hardware, 0)
    assert moved["validation_finetune_50"] > still["validation_finetune_50"]


def test_finetuning_chooses_nothing_by_test_labels(parts, digits, hardware, monkeypatch):
    counted, kept = finetune.accuracy, []

    def accuracy(model, *rest):
        kept.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
        return counted(model, *rest)

    monkeypatch.setattr(finetune, "accuracy", accuracy)
    backbone = assembled(composed("simclr"), about(digits)).encoder
    probe = tuner(lr=[1e-4, 1e-3])
    first, number = probe.measure(backbone, about(digits), parts, hardware, 0), len(kept)
    parts[2] = parts[2]._replace(label=parts[2].label.roll(1))
    second = probe.measure(backbone, about(digits), parts, hardware, 0)
    assert all(torch.equal(a, b) for a, b in zip(kept[:number], kept[number:], strict=True))
    assert first["validation_finetune_50"] == second["validation_finetune_50"]
    assert first["finetune_50"] > second["finetune_50"]


def test_each_fraction_needs_its_steps():
    with pytest.raises(UserError, match=r"finetune\.steps has 1 numbers"):
        tuner(fractions=[0.1, 1.0])


def test_finetune_writes_its_numbers(trained):
    main(["finetune", *flags(trained, encoder=RUN["encoder"], **SPLITS, out="finetune.json")])
    measures = json.loads((trained / "finetune.json").read_text())
    expected = [f"{v}finetune_{n}" for v in ("", "validation_") for n in (1, 10, 100)]
    assert sorted(measures) == sorted(expected)
