"""A trained run and images of any kind, for the stages that use an encoder."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from support.embedding import PHOTOS
from support.models import PRETRAIN, about, composed
from unlabel.cli import main
from unlabel.data import images
from unlabel.data.compressed import CompressedImages, spool


@pytest.fixture(scope="module")
def made(digits, tmp_path_factory):
    """A folder with a trained run, images in files, and the same prepared and in a table."""
    folder = tmp_path_factory.mktemp("embed")
    settings = composed("simclr")
    settings = {"run": "tiny/digits/simclr", **{key: settings[key] for key in PRETRAIN}}
    settings["hardware"] |= {"precision": "float32", "device": "cpu"}
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    images.write(folder / "train.arrow", digits, about(digits))
    flags = {"params": "params.yaml", "train": "train.arrow", "state": "state", "out": "run"}
    main(["pretrain", *(w for k, v in flags.items() for w in (f"--{k}", str(folder / v)))])
    rows = []
    for at, (image, label) in enumerate(zip(digits.image[:PHOTOS], digits.label, strict=False)):
        path = folder / "photos" / str(int(label)) / f"{at:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(path)
        rows.append({"id": f"digit {at}", "image": path.read_bytes()})
    pq.write_table(pa.Table.from_pylist(rows), folder / "table.parquet")
    some, files = digits.take(slice(PHOTOS)), spool((row["image"] for row in rows), folder)
    stored = CompressedImages(files, some.id, about(some).shape, "these")
    images.write(folder / "encoded.arrow", some._replace(image=stored), about(some))
    return folder
