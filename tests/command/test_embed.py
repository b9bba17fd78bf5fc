"""Any images get the features of a trained encoder, and find their neighbours by them."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
import yaml
from PIL import Image

from support.commands import refused
from support.embedding import PHOTOS, embed, neighbours, vectors
from support.large_sets import hub, hugging_face_table, saved, tar
from support.models import about
from support.pixels import folder
from unlabel.cli import main
from unlabel.data import image_source, images
from unlabel.data.decode import decode
from unlabel.features.extract import load_method


def expected(folder: Path, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """h and z of images (B, C, H, W), all at once."""
    run = folder / "run"
    settings = yaml.safe_load((run / "params.yaml").read_text())["method"]
    method = load_method(settings, run / "encoder.safetensors", run / "method.safetensors")
    with torch.no_grad():
        h = method.encoder(image / 255)
        return h, method.embed(h)


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


def test_tables_that_encoders_are_trained_on(made, digits, tmp_path):
    names = [path.relative_to(made).as_posix() for path in sorted((made / "photos").rglob("*.png"))]
    lines = ["file;kind", *(f"{name};x" for name in names)]
    (made / "table.csv").write_text("\n".join(lines))
    table = embed(made, "table.csv", tmp_path / "a.parquet", "--column", "file")
    assert table["path"].to_pylist() == names
    order = torch.tensor([int(Path(name).stem) for name in names])
    h, _ = expected(made, digits.image[order])
    assert torch.allclose(vectors(table, "h"), h, atol=1e-5)
    (made / "cut.csv").write_text("\n".join(lines).replace(";x", ';"x', 1))
    with pytest.raises(SystemExit, match=r"a value in line 2 of .*cut\.csv .* does not end in"):
        embed(made, "cut.csv", tmp_path / "cut.parquet", "--column", "file")
    assert not (tmp_path / "cut.parquet").exists()
    pq.write_table(pa.table({"file": names}), made / "paths.parquet")
    again = embed(made, "paths.parquet", tmp_path / "b.parquet", "--column", "file")
    assert again["path"].to_pylist() == names
    assert torch.equal(vectors(again, "h"), vectors(table, "h"))
    content = [{"bytes": (made / name).read_bytes(), "path": name} for name in names]
    pq.write_table(pa.table({"image": content}), made / "hugging_face.parquet")
    again = embed(made, "hugging_face.parquet", tmp_path / "c.parquet")
    assert again["id"].to_pylist() == [f"row {at}" for at in range(1, PHOTOS + 1)]
    assert torch.equal(vectors(again, "h"), vectors(table, "h"))


def test_shards_that_encoders_are_trained_on(made, tmp_path, capsys):
    photos = made / "photos"
    paths = sorted(photos.rglob("*.png"))
    files = {path.relative_to(photos).as_posix(): path.read_bytes() for path in paths}
    names = [*files]
    for number, part in enumerate((names[:40], names[40:])):
        beside = {f"{part[0]}.json": "{}", ".hidden.png": b""} if number else {}
        tar(tmp_path / f"shards/a-{number}.tar", {name: files[name] for name in part} | beside)
    expected = [f"a-0.tar/{name}" for name in names[:40]]
    expected += [f"a-1.tar/{name}" for name in names[40:]]
    whole = vectors(embed(made, "photos", tmp_path / "photos.parquet"), "h")
    for source in ("shards", "shards/a-{0..1}.tar"):
        table = embed(made, str(tmp_path / source), tmp_path / "shards.parquet")
        assert table["path"].to_pylist() == expected
        assert torch.equal(vectors(table, "h"), whole)
    assert f"2 left out, no image by its name: a-1.tar/{names[40]}.json" in capsys.readouterr().err
    with tarfile.open(tmp_path / "shards/a-1.tar", "a") as shard:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, names[40]
        shard.addfile(link)
    embed(made, str(tmp_path / "shards"), tmp_path / "shards.parquet")
    assert "1 left out, a link or a device: a-1.tar/link.png" in capsys.readouterr().err
    near = ["--query", str(photos / names[3]), "--picture", str(tmp_path / "near.png")]
    main(neighbours(made, tmp_path / "shards.parquet", *near))
    assert (tmp_path / "near.png").exists()
    tar(tmp_path / "none.tar", {"a.txt": ""})
    words = ["--run", str(made / "run"), "--out", str(tmp_path / "out.parquet"), "--images"]
    assert "has no images that can be" in refused(
        capsys, "embed", *words, str(tmp_path / "none.tar")
    )
    assert "does not exist" in refused(capsys, "embed", *words, str(tmp_path / "gone.tar"))


def test_hugging_face_datasets_that_encoders_are_trained_on(made, tmp_path, capsys):
    rows = [hugging_face_table(range(start, start + 10), None) for start in (0, 10)]
    disk, parquet = saved(tmp_path / "disk", *rows), hub(tmp_path / "hub", a_0=rows[0], a_1=rows[1])
    pictures = folder(tmp_path / "pictures", _=range(20))
    whole = vectors(embed(made, str(pictures), tmp_path / "photos.parquet"), "h")
    for source, first in (
        (disk, "data-00000-of-00002.arrow"),
        (parquet, "data/a-00000-of-00002.parquet"),
    ):
        table = embed(made, str(source), tmp_path / "found.parquet")
        assert table["path"].to_pylist()[:2] == [f"{first} row 1", f"{first} row 2"]
        assert torch.equal(vectors(table, "h"), whole)
    words = ["--run", str(made / "run"), "--out", str(tmp_path / "out.parquet"), "--images"]
    for name in parquet.glob("data/*"):
        pq.write_table(pa.table({"text": ["no image"]}), name)
    said = refused(capsys, "embed", *words, str(parquet))
    assert "has no column of images; its columns are text. Name one, as in --column COLUMN" in said


def test_a_file_of_a_hugging_face_dataset_is_read(made, tmp_path):
    rows = [hugging_face_table(range(start, start + 3), None) for start in (0, 3)]
    disk = saved(tmp_path / "disk", *rows)
    whole = embed(made, str(disk), tmp_path / "whole.parquet")
    name = "data-00001-of-00002.arrow"
    before = (disk / name).read_bytes()
    table = embed(made, str(disk / name), tmp_path / "part.parquet")
    assert table["path"].to_pylist() == [f"{name} row {row}" for row in (1, 2, 3)]
    assert torch.equal(vectors(table, "h"), vectors(whole, "h")[3:])
    (disk / name).write_bytes(before[:-9])
    with pytest.raises(SystemExit, match=r"cannot read .*arrow: it is not a whole arrow file"):
        embed(made, str(disk / name), tmp_path / "part.parquet")


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_tables_of_a_folder_may_have_paths(made, tmp_path, capsys, kind):
    paths = [str(path) for path in sorted((made / "photos").rglob("*.png"))[:3]]
    folder = tmp_path / "tables"
    columns = pa.table({"image": [paths[0], None, "../beside.png", ""]})
    (tmp_path / "beside.png").write_bytes(Path(paths[1]).read_bytes())
    if kind == "arrow":
        saved(folder, columns)
        name = "data-00000-of-00001.arrow"
    else:
        folder.mkdir()
        name = "a.parquet"
        pq.write_table(columns, folder / name)
        content = pa.table({"image": [Path(paths[2]).read_bytes()]})  # in another file, no paths
        pq.write_table(content, folder / "b.parquet")
    table = embed(made, str(folder), tmp_path / "out.parquet")
    names = [paths[0], "../beside.png", *(["b.parquet row 1"] if kind == "parquet" else [])]
    assert table["path"].to_pylist() == names
    h = vectors(embed(made, "photos", tmp_path / "photos.parquet"), "h")
    assert torch.equal(vectors(table, "h"), h[: len(names)])
    said = capsys.readouterr().err
    assert f"{name} row 2: it is empty" in said
    assert f"{name} row 4: it is empty" in said
    near = ["--query", paths[0], "--number", "2", "--picture", str(tmp_path / "near.png")]
    main(neighbours(made, tmp_path / "out.parquet", *near))


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pa.array([1 << 63, 2, 3, 4], pa.uint64()), None),
        (pa.array([None, None, 7, 8], pa.int64()), ["row 1", "row 2", "7", "8"]),
        (pa.array(["a", None, "c", ""]), ["a", "row 2", "c", "row 4"]),
        (pa.array([None] * 4), ["row 1", "row 2", "row 3", "row 4"]),
        (pa.array(["b", "a", "b", "c"]).dictionary_encode(), ["b", "a", "b", "c"]),
        (pa.array([b"\xff", b"", b"1", b"2"]), None),
    ],
    ids=lambda case: str(case.type) if isinstance(case, pa.Array) else "",
)
def test_ids_of_any_type(made, tmp_path, monkeypatch, ids, expected):
    monkeypatch.setattr(image_source, "BATCH", 2)
    paths = sorted((made / "photos").rglob("*.png"))[:4]
    images = [path.read_bytes() for path in paths]
    pq.write_table(pa.table({"id": ids, "image": images}), tmp_path / "table.parquet")
    table = embed(made, str(tmp_path / "table.parquet"), tmp_path / "out.parquet")
    if expected is None:
        assert table["id"].combine_chunks().equals(ids)
    assert table["id"].to_pylist() == (expected or ids.to_pylist())
    near = ["--query", str(paths[0]), "--number", "2", "--picture", str(tmp_path / "near.png")]
    main(neighbours(made, tmp_path / "out.parquet", *near))


def test_rows_without_a_path_are_named(made, tmp_path, capsys):
    path = str(next((made / "photos").rglob("*.png")))
    (tmp_path / "table.csv").write_text(f"image,kind\n,x\n{path},y\n,z\n")
    pq.write_table(pa.table({"image": [None, path, ""]}), tmp_path / "table.parquet")
    for name in ("table.csv", "table.parquet"):
        table = embed(made, str(tmp_path / name), tmp_path / "out.parquet")
        assert table["path"].to_pylist() == [path]
        said = capsys.readouterr().err
        assert "row 1: it is empty\n" in said
        assert "row 3: it is empty\n" in said
        assert "1 images embedded; 2 could not be read and are left out" in said


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
        photo: "is not a folder, a table, a shard or an .arrow file",
    }.items():
        words = ["--run", str(made / "run"), "--images", str(source), "--out", str(out)]
        assert said in refused(capsys, "embed", *words)
    words = ["--images", str(made / "photos"), "--out", str(out)]
    assert "is not a folder" in refused(capsys, "embed", "--run", str(tmp_path / "no"), *words)
    run = ["--run", str(made / "run")]
    said = refused(capsys, "embed", *run, *words, "--fit", "crops")
    assert "unknown fit 'crops': did you mean 'crop'?" in said
    said = refused(capsys, "embed", *run, *words, "--device", "cuda:9")
    assert "hardware.device is 'cuda:9', but this machine does not have it" in said
    assert not list(out.parent.glob("*"))

    main(["embed", *run, "--images", str(made / "photos"), "--out", str(tmp_path / "f.parquet")])
    ask = neighbours(made, tmp_path / "f.parquet", "--query", str(photo))
    assert "must be 1 or more" in refused(capsys, *ask, "--number", "0")
    assert "must end in .png" in refused(capsys, *ask, "--picture", "near.bmp")
    broken = str(tmp_path / "broken/a.png")
    assert "cannot read the image" in refused(capsys, *ask[:-1], broken)
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


def test_names_that_no_table_can_hold_are_left_out(made, tmp_path, capsys):
    folder = tmp_path / "names"
    folder.mkdir()
    photo = next((made / "photos").rglob("*.png")).read_bytes()
    for name in (b"-a b;'\"<i>\xc3\xa9.png", b"\xff.png"):
        Path(folder.as_posix(), name.decode("utf-8", "surrogateescape")).write_bytes(photo)
    table = embed(made, str(folder), tmp_path / "features.parquet")
    assert [Path(name).name for name in table["path"].to_pylist()] == ["-a b;'\"<i>é.png"]
    assert r"\udcff.png: its name is not UTF-8" in capsys.readouterr().err


def test_a_damaged_image_in_a_table_is_left_out(made, tmp_path, capsys):
    good = io.BytesIO()
    Image.new("L", (8, 8)).save(good, "PNG")
    rows = {"id": [1, 2, 3], "image": [good.getvalue(), None, b"hello"]}
    pq.write_table(pa.table(rows), tmp_path / "table.parquet")
    table = embed(made, str(tmp_path / "table.parquet"), tmp_path / "features.parquet")
    assert table["id"].to_pylist() == [1]
    said = capsys.readouterr().err
    assert "2: it is empty" in said
    assert "3: its format is not one of" in said
