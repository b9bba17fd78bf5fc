"""Images find their neighbours by their features."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from support.commands import refused
from support.embedding import PHOTOS, embed, neighbours, vectors
from unlabel.cli import main
from unlabel.data import image_source
from unlabel.features import neighbours as embeddings
from unlabel.features import tables


def test_neighbours_are_those_of_the_largest_cosine(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tables, "GROUP", 2000)  # bytes: several row groups
    monkeypatch.setattr(image_source, "BATCH", 7)
    out = tmp_path / "features.parquet"
    h = F.normalize(vectors(embed(made, "photos", out), "h"), dim=1)
    assert pq.ParquetFile(out).num_row_groups > 3
    names = pq.read_table(out)["path"].to_pylist()
    capsys.readouterr()
    main(neighbours(made, out, "--query", names[3], names[40], "--number", "4"))
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["query", "neighbour", "cosine"]
    found = [row.split() for row in rows]
    for place, query in enumerate((3, 40)):
        values, best = (h @ h[query]).topk(4)
        near = found[4 * place : 4 * place + 4]
        assert [row[0] for row in near] == [names[query]] * 4
        assert [row[1] for row in near] == [names[at] for at in best.tolist()]
        assert [float(row[2]) for row in near] == pytest.approx(values.tolist(), abs=6e-4)
        assert near[0][1:] == [names[query], "1.000"]


@pytest.mark.parametrize("source", ["photos", "table.parquet", "train.arrow", "encoded.arrow"])
def test_neighbours_are_drawn(made, tmp_path, source):
    out, picture = tmp_path / "features.parquet", tmp_path / "near.png"
    embed(made, source, out)
    query = sorted(map(str, (made / "photos").rglob("*.png")))[:2]
    main(neighbours(made, out, "--query", *query, "--number", "3", "--picture", str(picture)))
    sheet = np.asarray(Image.open(picture).convert("L"), np.float32)
    side, gap = 112, 8
    first = sheet[gap : gap + side, gap : gap + side]
    second = sheet[gap : gap + side, 3 * gap + side : 3 * gap + 2 * side]
    assert first.std() > 20
    assert np.abs(first - second).mean() < 4  # the query is its own nearest neighbour
    third = sheet[gap : gap + side, 4 * gap + 2 * side : 4 * gap + 3 * side]
    assert np.abs(first - third).mean() > 8
    assert sheet.shape == (gap + 2 * (side + 18 + gap), gap + 4 * (side + gap) + gap)


def test_features_of_another_encoder_are_refused(made, tmp_path, capsys):
    out = tmp_path / "features.parquet"
    table = embed(made, "photos", out)
    told = json.loads(table.schema.metadata[b"unlabel"])
    assert told["run"] == "tiny/digits/simclr"
    other = {**told, "encoder_sha256": "0" * 64, "run": "another"}
    pq.write_table(table.replace_schema_metadata({"unlabel": json.dumps(other)}), out)
    query = next((made / "photos").rglob("*.png"))
    said = refused(capsys, *neighbours(made, out, "--query", str(query)))
    assert "was not made by the encoder of" in said
    assert "by that of the run another" in said


def test_a_picture_tells_of_images_that_are_gone(made, tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted((made / "photos").rglob("*.png"))[:3]:
        (folder / path.name).write_bytes(path.read_bytes())
    embed(made, str(folder), tmp_path / "features.parquet")
    query, gone = sorted(folder.iterdir())[:2]
    gone.unlink()
    words = neighbours(made, tmp_path / "features.parquet", "--query", str(query))
    said = refused(capsys, *words, "--picture", str(tmp_path / "near.png"))
    assert f"cannot draw {gone}" in said


def test_similarities_of_features_of_another_length_are_not_asked_for(made, tmp_path):
    table = embed(made, "photos", tmp_path / "features.parquet")
    assert table.num_rows == PHOTOS
    with pytest.raises(Exception, match="has features of length 64, but the encoder makes them 3"):
        embeddings.find(tmp_path / "features.parquet", torch.rand(1, 3), 2)
