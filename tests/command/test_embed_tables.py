"""`unlabel embed` reads tables, shards and Hugging Face datasets, as training does."""

import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from support.commands import refused
from support.embedding import PHOTOS, embed, expected, neighbours, vectors
from support.large_sets import hub, hugging_face_table, saved, tar
from support.pixels import folder
from unlabel.cli import main
from unlabel.data import image_source


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
