"""An encoder is measured on another dataset, whose images are brought into its shape."""

import json

import pytest
import torch
import yaml

from support.models import PARAMS, about, assembled, composed
from support.project import STUDY, project, snakemake
from unlabel import encoder
from unlabel.cli import main
from unlabel.data import images
from unlabel.errors import UserError
from unlabel.features.extract import to_shape
from unlabel.features.split import Features, Split
from unlabel.params import compose
from unlabel.probe import named
from unlabel.probe.factors import Factors
from unlabel.probe.knn import KNN
from unlabel.probe.linear import Linear

BOUNDS = {"train": (0, 300), "validation": (300, 400), "test": (400, 500)}


def test_images_take_the_encoders_shape():
    draw = torch.Generator().manual_seed(0)
    grey, colour = torch.rand(2, 1, 8, 8, generator=draw), torch.rand(2, 3, 8, 8, generator=draw)
    assert to_shape(grey, (1, 8, 8)) is grey
    assert torch.equal(to_shape(grey, (3, 8, 8)), grey.repeat(1, 3, 1, 1))
    luma = colour[:, 0] * 0.299 + colour[:, 1] * 0.587 + colour[:, 2] * 0.114
    assert torch.allclose(to_shape(colour, (1, 8, 8))[:, 0], luma, atol=1e-6)
    small = to_shape(colour, (3, 4, 4))
    assert small.shape == (2, 3, 4, 4)
    assert torch.allclose(small.mean((2, 3)), colour.mean((2, 3)), atol=0.03)
    for size in (4, 12):  # a ramp stays one
        ramp = to_shape(torch.linspace(0, 1, 8).expand(1, 1, 8, 8), (1, size, size))
        assert (ramp.diff(dim=3) > 0).all()
        assert torch.allclose(ramp[..., 0, :], ramp[..., -1, :])
    with pytest.raises(
        UserError, match="an encoder of images with 3 channels cannot see images with 4"
    ):
        to_shape(torch.rand(1, 4, 8, 8), (3, 8, 8))


def test_names_say_the_dataset():
    assert named("linear_hue", "shapes") == "shapes_linear_hue"
    assert named("validation_knn", "digits") == "validation_digits_knn"


@pytest.fixture
def folder(digits, tmp_path):
    """An encoder of grey images, and digits in colour, larger, of which the parity is a factor."""
    settings = composed("simclr")
    method = assembled(settings, about(digits))
    encoder.save(tmp_path / "encoder.safetensors", method.encoder, settings["encoder"])
    pixels = torch.nn.functional.interpolate(digits.image.float(), (20, 20)).repeat(1, 3, 1, 1)
    other = digits._replace(image=pixels.byte(), factor=digits.label[:, None] % 2)
    data = about(other)
    data = data.__class__(**vars(data) | {"factors": {"parity": ("even", "odd")}})
    for name, (start, end) in BOUNDS.items():
        part = images.Images(*(each[start:end] for each in other))
        images.write(tmp_path / f"{name}.arrow", part, data)
    probes = {name: settings["probe"][name] for name in settings["transfer"]["probes"]}
    hardware = {"_target_": "unlabel.hardware.Hardware", "device": "cpu", "precision": "float32"}
    transfer = settings["transfer"] | {"images": None}
    frozen = {"seed": 3, "hardware": hardware, "probe": probes, "transfer": transfer}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(frozen))
    return tmp_path


def arguments(folder, **files):
    given = {"params": "params.yaml", "encoder": "encoder.safetensors", "out": "out.json"}
    given |= {name: f"{name}.arrow" for name in BOUNDS} | files
    return ["transfer", *(w for k, v in given.items() for w in (f"--{k}", str(folder / v)))]


def test_the_numbers_are_the_probes_on_the_encoders_features(folder):
    main(arguments(folder))
    model = encoder.load(folder / "encoder.safetensors")
    parts = []
    for name in BOUNDS:
        part, data = images.read(folder / f"{name}.arrow")
        with torch.no_grad():
            h = model(to_shape(part.image / 255, (1, 16, 16)))
        parts.append(Split(part.id, part.label, part.factor, h))
    measured = Features(*parts, {}, data.classes, data.factors)
    recipes = composed("simclr")["probe"]

    def probe(kind, name):
        given = {key: value for key, value in recipes[name].items() if key != "_target_"}
        return kind(**given).measure(measured, 3)

    expected = probe(KNN, "knn") | probe(Linear, "linear") | probe(Factors, "factors")
    found = json.loads((folder / "out.json").read_text())
    assert found == pytest.approx({named(k, "test"): v for k, v in expected.items()}, abs=0.02)
    assert found["test_linear"] > 0.5  # chance is 0.1
    assert {"test_knn", "validation_test_linear", "test_linear_parity"} < found.keys()


def test_without_labels_only_factors_are_measured(folder):
    for name in BOUNDS:
        part, data = images.read(folder / f"{name}.arrow")
        part = images.Images(part.id, part.image.clone(), part.label * 0 - 1, part.factor)
        images.write(folder / f"{name}.arrow", part, data)
    main(arguments(folder))
    found = json.loads((folder / "out.json").read_text())
    assert found.keys() == {"test_linear_parity", "validation_test_linear_parity"}


def test_a_probe_that_is_not_there_is_explained(folder):
    with pytest.raises(UserError, match=r"transfer.probes names 'knnn'; did you mean 'knn'\?"):
        compose.settings(PARAMS, "tiny", "digits", "simclr", "transfer.probes=[knnn]")


def test_the_workflow_makes_what_is_asked_for_by_its_path(tmp_path):
    folder = project(tmp_path, STUDY)
    recipe = folder / "params/dataset/shapes.yaml"
    text = recipe.read_text()
    recipe.write_text(text.replace("size: 20000", "size: 800").replace("test: 4000", "test: 200"))
    path = "data/runs/tiny/digits/random/base/0/transfer/shapes.json"
    snakemake(folder, "--cores", "1", path)
    found = json.loads((folder / path).read_text())
    assert {"shapes_knn", "shapes_linear", "shapes_linear_hue", "shapes_linear_size"} < found.keys()
    assert not (folder / "data/runs/tiny/digits/random/base/0/features.parquet").exists()
    assert "Nothing to be done" in snakemake(folder, "-n", path)
    wrong = path.replace("shapes.json", "shape.json")
    said = snakemake(folder, "-n", wrong, fails=True)
    assert "unknown dataset 'shape': did you mean 'shapes'?" in said
