"""Run an encoder over a dataset."""

from pathlib import Path

from unlabel.data.images import UNLABELLED
from unlabel.data.splits import random_subset, read_splits
from unlabel.features import parquet
from unlabel.features.extract import Extraction, compare, extract, restored
from unlabel.features.parquet import SPLITS
from unlabel.hardware import Hardware
from unlabel.params.settings import build, load
from unlabel.progress import Progress


def run(
    params: Path,
    encoder: Path,
    method: Path,
    train: Path,
    validation: Path,
    test: Path,
    out: Path,
    views: Path,
) -> None:
    """Write the features of the images of three splits to `out`, and of pairs of views to `views`.

    `encoder` and `method` are a run's encoder.safetensors and method.safetensors. Raises
    `UserError` if they are of different methods, or the images do not fit the encoder.
    """
    settings = load(params)
    hardware: Hardware = build(settings["hardware"], "hardware")
    how = {"_target_": "unlabel.features.extract.Extraction"} | settings["features"]
    extraction: Extraction = build(how, "features")
    model = restored(settings["method"], encoder, method)
    hardware.move(model)
    splits, data = read_splits((train, validation, test), model.encoder.data.shape)
    labels = int((splits[0].label != UNLABELLED).sum())
    splits[0] = random_subset(splits[0], extraction.images)
    progress = Progress("features", sum(len(split.id) for split in splits))
    parts = (
        (name, part)
        for name, split in zip(SPLITS, splits, strict=True)
        for part in extract(model, split, extraction.batch, hardware, progress)
    )
    parquet.write(out, parts, data.classes, data.factors, labels)
    progress.close()
    pairs = compare(model, splits[1], extraction, hardware)
    parquet.write_views(views, pairs, [parquet.ALL, *extraction.transforms.transforms])
