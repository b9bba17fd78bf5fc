"""Any images get the features of a trained encoder, and find their neighbours by them."""

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from support.commands import refused
from support.embedding import PHOTOS, embed, expected, neighbours, vectors
from support.models import about
from unlabel.cli import main
from unlabel.data import image_source, images
from unlabel.data.decode import decode


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("photos", "path"),
        ("table.parquet", "id"),
        ("train.arrow", "id"),
        ("encoded.arrow", "id"),
    ],
)
def test_features_are_the_encoders_and_the_projectors(
    made, digits, tmp_path, monkeypatch, source, key
):
    monkeypatch.setattr(image_source, "BATCH", 7)
    table = embed(made, source, tmp_path / "features.parquet")
    names = table[key].to_pylist()
    number = {"photos": lambda name: int(Path(name).stem), "table.parquet": lambda name: name[6:]}
    order = torch.tensor([int(number.get(source, int)(name)) for name in names])
    assert sorted(order.tolist()) == list(range(500 if source == "train.arrow" else PHOTOS))
    h, z = expected(made, digits.image[order])
    assert table.column_names == [key, "h", "z"]
    assert table.schema.field("h").type == pa.list_(pa.float32(), 64)
    assert torch.allclose(vectors(table, "h"), h, atol=1e-5)
    assert torch.allclose(vectors(table, "z"), z, atol=1e-5)
    if source == "photos":
        assert names == sorted(names)
        assert all(Path(name).exists() for name in names)


def test_images_of_any_kind_and_those_that_cannot_be_read(made, tmp_path, capsys):
    folder = tmp_path / "mixed"
    (folder / "deep/er").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 4), np.uint8)
    good = {
        "colour.jpg": Image.fromarray(pixels[..., :3]),
        "deep/er/transparent.png": Image.fromarray(pixels),
        "grey and wide.webp": Image.fromarray(pixels[:9, :, 0]),
        "palette.gif": Image.fromarray(pixels[..., :3]).quantize(8),
    }
    for name, image in good.items():
        image.save(folder / name)
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("hello")
    (folder / "cut.jpg").write_bytes((folder / "colour.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("no image")
    (folder / "\x1b]0;owned\x07\n.txt").touch()
    words = ["embed", "--run", str(made / "run"), "--images", str(folder)]
    main([*words, "--out", str(tmp_path / "features.parquet"), "--fit", "pad"])
    said = capsys.readouterr().err
    assert r"\x1b]0;owned\x07\n.txt" in said
    assert all(line.isprintable() for line in said.splitlines())
    table = pq.read_table(tmp_path / "features.parquet")
    paths = [str(folder / name) for name in sorted(good)]
    assert table["path"].to_pylist() == sorted(paths)
    assert "4 images embedded; 3 could not be read and are left out" in said
    for name in ("empty.jpg: it is empty", "text.png: its format is not one of", "cut.jpg: "):
        assert f"\n{folder / name}" in f"\n{said}"
    for at, path in enumerate(table["path"].to_pylist()):
        image = torch.tensor(decode(Path(path).read_bytes(), (1, 16, 16), "pad"))
        h, _ = expected(made, image[None])
        assert torch.allclose(vectors(table, "h")[at], h[0], atol=1e-5)


def test_links_in_a_folder_are_said_or_followed(made, tmp_path, capsys):
    folder = tmp_path / "linked"
    folder.mkdir()
    photo = next((made / "photos").rglob("*.png"))
    (folder / "one.png").write_bytes(photo.read_bytes())
    (folder / "photos").symlink_to(made / "photos")
    (folder / "self.png").symlink_to("self.png")
    table = embed(made, str(folder), tmp_path / "a.parquet")
    assert len(table) == 1
    said = capsys.readouterr().err
    assert "1 left out, a link to a folder (links=true follows it): photos" in said
    assert "self.png: Too many levels of symbolic links" in said
    out = tmp_path / "b.parquet"
    assert len(embed(made, str(folder), out, "--links")) == PHOTOS + 1
    near = ["--query", str(photo), "--picture", str(tmp_path / "near.png")]
    main(neighbours(made, out, *near))
    (folder / "one.png").unlink()
    (folder / "self.png").unlink()
    words = ["--run", str(made / "run"), "--images", str(folder), "--out", str(out)]
    assert "(1 left out, a link to a folder" in refused(capsys, "embed", *words)


def test_a_folder_is_no_file_to_write_to(made, tmp_path, capsys):
    words = ["--run", str(made / "run"), "--images", str(made / "photos"), "--out", str(tmp_path)]
    assert f"{tmp_path} is a folder; name a file to write to" in refused(capsys, "embed", *words)


def test_a_table_has_the_suffix_of_its_format(made, tmp_path, capsys):
    words = ["--run", str(made / "run"), "--images", str(made / "photos")]
    said = refused(capsys, "embed", *words, "--out", str(tmp_path / "features.csv"))
    assert "features.csv, but must end in .parquet" in said
    assert not (tmp_path / "features.csv").exists()


def test_prepared_images_take_the_encoders_shape(made, digits, tmp_path):
    colour = digits.take(torch.arange(9))
    colour = colour._replace(image=colour.image.repeat(1, 3, 1, 1).repeat_interleave(2, 2))
    images.write(tmp_path / "colour.arrow", colour, about(colour))
    table = embed(made, str(tmp_path / "colour.arrow"), tmp_path / "features.parquet")
    h, _ = expected(made, digits.image[:9])
    assert F.cosine_similarity(vectors(table, "h"), h).min() > 0.99


def test_the_same_images_give_the_same_bytes(made, tmp_path):
    for name in ("a.parquet", "b.parquet"):
        embed(made, "photos", tmp_path / name)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_mistake_is_one_sentence_and_writes_nothing(made, tmp_path, capsys):
    (tmp_path / "nothing").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/a.png").write_text("hello")
    (tmp_path / "a.tar.gz").write_bytes(b"")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"id": [1], "pixels": [b""]}), tmp_path / "other.parquet")
    pq.write_table(pa.table({"id": [1], "image": ["a.png"]}), tmp_path / "text.parquet")
    whole = (made / "table.parquet").read_bytes()
    (tmp_path / "damaged.parquet").write_bytes(whole[:40] + bytes(4000) + whole[4040:])
    photo = next((made / "photos").rglob("*.png"))
    out = tmp_path / "out/features.parquet"
    for source, said in {
        tmp_path / "no": "is not a folder",
        tmp_path
        / "nothing": "has no images that can be read (it is empty); their names must end in .apng",
        tmp_path / "broken": "none of the 1 images can be read",
        tmp_path / "cut.parquet": "cannot read",
        tmp_path / "no.parquet": "cannot read",
        tmp_path / "other.parquet": "has no column 'image'",
        tmp_path / "text.parquet": "none of the 1 images can be read",
        tmp_path / "damaged.parquet": "cannot read",
        tmp_path / "no.arrow": "does not exist",
        photo: "is not a folder, a table, a shard or an .arrow file; give the folder it is in",
        tmp_path / "a.tar.gz": "a shard or an .arrow file; unpack it, and give its folder",
    }.items():
        words = ["--run", str(made / "run"), "--images", str(source), "--out", str(out)]
        assert said in refused(capsys, "embed", *words)
    words = ["--images", str(made / "photos"), "--out", str(out)]
    assert "is not a folder" in refused(capsys, "embed", "--run", str(tmp_path / "no"), *words)
    run = ["--run", str(made / "run")]
    said = refused(capsys, "embed", *run, *words, "--fit", "crops")
    assert said.startswith("error: unknown fit 'crops': did you mean 'crop'?")
    said = refused(capsys, "embed", *run, *words, "--device", "cuda:9")
    assert "hardware.device is 'cuda:9', but this machine does not have it" in said
    assert not list(out.parent.glob("*"))


def test_a_mistake_about_neighbours_is_one_sentence(made, tmp_path, capsys):
    (tmp_path / "broken.png").write_text("hello")
    pq.write_table(pa.table({"id": [1], "pixels": [b""]}), tmp_path / "other.parquet")
    photo = next((made / "photos").rglob("*.png"))
    embed(made, "photos", tmp_path / "f.parquet")
    capsys.readouterr()
    ask = neighbours(made, tmp_path / "f.parquet", "--query", str(photo))
    assert "must be 1 or more" in refused(capsys, *ask, "--number", "0")
    assert "must end in .png" in refused(capsys, *ask, "--picture", "near.bmp")
    assert "cannot read the image" in refused(capsys, *ask[:-1], str(tmp_path / "broken.png"))
    assert "No such file" in refused(capsys, *ask[:-1], str(tmp_path / "no.png"))
    lost = neighbours(made, tmp_path / "no.parquet", "--query", str(photo))
    assert "does not exist: embed some images first" in refused(capsys, *lost)
    wrong = neighbours(made, tmp_path / "other.parquet", "--query", str(photo))
    assert "is not a whole file of `unlabel embed` (it does not name an encoder)" in refused(
        capsys, *wrong
    )
    assert "argument --number: invalid int value: 'many'" in refused(
        capsys, *ask, "--number", "many"
    )


def test_what_is_no_file_to_write_to_is_left_as_it_is(made, tmp_path, capsys):
    os.mkfifo(pipe := tmp_path / "pipe.png")
    (file := tmp_path / "file").touch()
    photo = str(next((made / "photos").rglob("*.png")))
    embed(made, "photos", tmp_path / "f.parquet")
    capsys.readouterr()
    run = ["--run", str(made / "run")]
    for command in (
        ["embed", *run, "--images", str(made / "photos"), "--out"],
        [*neighbours(made, tmp_path / "f.parquet", "--query", photo), "--picture"],
    ):
        assert "is a device or a pipe, not a file" in refused(capsys, *command, str(pipe))
        assert "file is a file, so " in refused(capsys, *command, str(file / "a/b.png"))
    assert pipe.is_fifo()
    assert file.is_file()


def test_settings_that_were_cut_short_are_refused(made, tmp_path, capsys):
    run, out = tmp_path / "run", tmp_path / "f.parquet"
    shutil.copytree(made / "run", run)
    text = (run / "params.yaml").read_text()
    (run / "params.yaml").write_text(text[: text.index("hardware:")])
    words = ["--run", str(run), "--images", str(made / "photos"), "--out", str(out)]
    assert "params.yaml is cut short, as it has no " in refused(capsys, "embed", *words)
    assert not out.exists()


def test_names_that_no_table_can_hold_are_left_out(made, tmp_path, capsys):
    folder = tmp_path / "names"
    folder.mkdir()
    photo = next((made / "photos").rglob("*.png")).read_bytes()
    for name in (b"-a b;'\"<i>\xc3\xa9.png", b"\xff.png"):
        Path(folder.as_posix(), name.decode("utf-8", "surrogateescape")).write_bytes(photo)
    table = embed(made, str(folder), tmp_path / "features.parquet")
    assert [Path(name).name for name in table["path"].to_pylist()] == ["-a b;'\"<i>é.png"]
    assert r"\udcff.png: its name is not UTF-8" in capsys.readouterr().err
