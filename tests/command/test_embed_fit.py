"""Images become what the encoder was trained on."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from support.embedding import embed, vectors
from support.models import PRETRAIN, assembled, composed
from unlabel import encoder as encoders
from unlabel import weights
from unlabel.cli import main
from unlabel.data import images
from unlabel.data.images import Data
from unlabel.seeds import derive


@pytest.mark.parametrize(
    ("deep", "recipe"),
    [
        (False, {}),
        (False, {"fit": "pad"}),
        (False, {"fit": "squeeze", "size": [12, 20]}),
        (True, {"fit": "pad"}),
        (True, {"range": [500, 3000]}),
        (True, {"channels": 3}),
    ],
    ids=str,
)
def test_images_become_what_the_encoder_was_trained_on(deep, recipe, tmp_path, capsys):
    """The features of the files are those of the prepared images."""
    draw = np.random.default_rng(0)
    for at in range(12):
        high = 2 ** (12 if deep else 8)
        pixels = draw.integers(0, high, ((30, 50, 3), (45, 20, 3))[at % 2][: 2 if deep else 3])
        path = tmp_path / f"photos/{at % 2}/{at:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint16 if deep else np.uint8)).save(path)
    recipe = {"_target_": "unlabel.dataset.folder.Folder", "size": 16, **recipe}
    recipe["path"] = str(tmp_path / "photos")
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump({"name": "mine", "dataset": recipe}))
    flags = {"params": tmp_path / "dataset.yaml", "raw": tmp_path}
    flags |= {split: tmp_path / f"{split}.arrow" for split in ("train", "validation", "test")}
    main(["prepare", *(word for k, v in flags.items() for word in (f"--{k}", str(v)))])
    untrained(tmp_path / "run", images.read(tmp_path / "train.arrow")[1])
    files = embed(tmp_path, "photos", tmp_path / "files.parquet")
    assert "(as the images it was trained on)" in capsys.readouterr().err
    names = [str(Path(path).relative_to(tmp_path / "photos")) for path in files["path"].to_pylist()]
    found = dict(zip([derive("image", name) for name in names], vectors(files, "h"), strict=True))
    for split in ("train", "validation", "test"):
        prepared = embed(tmp_path, f"{split}.arrow", tmp_path / "prepared.parquet")
        for id, h in zip(prepared["id"].to_pylist(), vectors(prepared, "h"), strict=True):
            assert torch.allclose(found[id], h, atol=1e-5)
    same = ["--features", str(tmp_path / "files.parquet"), "--run", str(tmp_path / "run")]
    capsys.readouterr()
    query = str(tmp_path / "photos/1/03.png")
    main(["neighbors", *same, "--query", query, "--number", "1"])
    assert re.search(r"photos/1/03.png +1.000$", capsys.readouterr().out, re.MULTILINE)


def test_an_encoder_without_a_record_crops_as_before_and_says_so(made, tmp_path, capsys):
    first = embed(made, "photos", tmp_path / "h.parquet")
    assert "16 x 16 by crop (the encoder has no record of how" in capsys.readouterr().err
    assert first.equals(embed(made, "photos", tmp_path / "h.parquet", "--fit", "crop"))


def untrained(folder: Path, data: Data) -> None:
    """A run of SimCLR as `pretrain` leaves it, with weights nobody has trained."""
    settings = composed("simclr")
    settings = {"run": "tiny/mine/simclr", **{key: settings[key] for key in PRETRAIN}}
    settings["hardware"] |= {"precision": "float32", "device": "cpu"}
    method = assembled(settings, data)
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    encoders.save(folder / "encoder.safetensors", method.encoder, settings["encoder"])
    rest = {k: v for k, v in weights.of(method).items() if not k.startswith("encoder.")}
    weights.write(folder / "method.safetensors", rest, {"method": settings["method"]})
