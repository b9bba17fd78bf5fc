"""Run an encoder over a dataset."""

import sys
from dataclasses import replace
from pathlib import Path

from unlabel.data.images import UNLABELLED, Data
from unlabel.data.splits import read_splits, subset_of_each_class
from unlabel.features import parquet
from unlabel.features.extract import Extraction, extract, extract_views, load_method
from unlabel.features.split import ALL, SPLITS
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
    """Write an encoder's features of a dataset, and of pairs of views of some of its images.

    Args:
        params: the run's settings, a YAML file
        encoder: the run's encoder.safetensors
        method: the run's method.safetensors
        train: the prepared training split, an Arrow file
        validation: the prepared validation split
        test: the prepared test split
        out: the Parquet file to write the features of all three splits to
        views: the Parquet file to write the features of the pairs of views to

    Raises:
        UserError: if `encoder` and `method` are of different methods, or the images do not fit the
            encoder
    """
    settings = load(params)
    hardware: Hardware = build(settings["hardware"], "hardware").resolve()
    hardware.configure()
    extraction: Extraction = build(settings["features"], "features")
    model = load_method(settings["method"], encoder, method)
    hardware.move(model)
    splits, data = read_splits((train, validation, test), model.encoder.data.shape)
    extraction = _fitting(extraction, data)
    labels = int((splits[0].label != UNLABELLED).sum())
    splits[0] = subset_of_each_class(splits[0], extraction.images)
    progress = Progress("features", sum(len(split.id) for split in splits))
    parts = (
        (name, part)
        for name, split in zip(SPLITS, splits, strict=True)
        for part in extract(model, split, extraction.batch, hardware, progress)
    )
    kept = subset_of_each_class(splits[0], extraction.projected)
    projected = None if kept is splits[0] else kept.id.sort().values
    parquet.write(out, parts, data.classes, data.factors, labels, projected)
    progress.close()
    pairs = extract_views(model, splits[1], extraction, hardware)
    parquet.write_views(views, pairs, [ALL, *extraction.transforms.transforms])


def _fitting(extraction: Extraction, data: Data) -> Extraction:
    """Without the transforms that cannot be tried alone on images of this size; says which."""
    transforms = extraction.transforms.fitting((data.shape[1], data.shape[2]))
    left_out = extraction.transforms.transforms.keys() - transforms.transforms.keys()
    if left_out:
        size = f"{data.shape[1]} x {data.shape[2]}"
        names = ", ".join(sorted(left_out))
        print(f"features: not tried alone on images of {size}: {names}", file=sys.stderr)
    return replace(extraction, transforms=transforms)
