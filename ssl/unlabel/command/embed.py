"""Run a trained encoder over any images."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import torch
from torch import Tensor
from tqdm import tqdm

from unlabel.command._out import check_out
from unlabel.data import image_source
from unlabel.data.decode import Preprocessing, in_words
from unlabel.data.image_source import Source
from unlabel.data.images import Data
from unlabel.errors import UserError, printable
from unlabel.features import neighbours
from unlabel.features.extract import load_method, to_shape
from unlabel.features.trained_encoder import (
    encoder_file,
    hardware_of,
    preprocessing_of,
    settings_of,
)
from unlabel.files import sha256
from unlabel.hardware import Hardware
from unlabel.method import Method
from unlabel.progress import Progress


def run(
    run: Path,
    images: Path,
    out: Path,
    fit: str | None = None,
    device: str | None = None,
    column: str = "image",
    links: bool = False,
) -> None:
    """Write the features of images by the encoder of a trained run.

    `out` has the columns `path` or `id`, `h` (the encoder's output) and, if the method has a
    projector, `z` (the projector's output). An image that cannot be read is left out, and named on
    standard error.

    Args:
        run: the folder of a trained run
        images: a folder of images of any size and format, .tar shards of them (a file, a folder,
            or a path with braces), a Hugging Face dataset on disk or one of its files, a CSV or
            Parquet file that has their paths or the encoded images, or a prepared Arrow file
        out: the Parquet file to write
        fit: how an image gets the encoder's proportions: crop, squeeze or pad; by default as the
            encoder's training images did
        device: where to compute, such as cpu or cuda; by default where the run was trained
        column: the column of the images in a table
        links: follow links to folders, and links that lead out of the folder of images

    Raises:
        UserError: if the folder has no trained run, or no image can be read
    """
    check_out(out)
    if out.suffix not in ("", ".parquet"):  # a table of text, it would seem
        raise UserError(f"--out is {out}, but must end in .parquet, which is what is written")
    path, settings = encoder_file(run), settings_of(run)
    hardware = hardware_of(settings, device)
    hardware.configure()
    method = load_method(settings["method"], path, run / "method.safetensors")
    hardware.move(method)
    data = method.encoder.data
    how = preprocessing_of(path, data, fit)
    source = image_source.open_source(images, how, column=column, links=links)
    for remark in (*source.remarks, said(how, data, fit)):
        print(printable(remark), file=sys.stderr)
    about = {"run": settings["run"], "encoder_sha256": sha256(path)}
    about |= {"images": str(images), "fit": how.fit, "range": how.limits}
    about |= {"column": column, "links": links}
    neighbours.write(out, source.key, embed(method, source, hardware), about)


def said(how: Preprocessing, data: Data, fit: str | None) -> str:
    """How image files are brought into the encoder's shape, and who says so."""
    _, height, width = how.shape
    scale = ""
    if how.limits is not None:
        scale = f", pixels of more than 8 bits scaled from {in_words(how.limits)}"
    why = "as the images it was trained on"
    if not data.preprocessing:
        why = "the encoder has no record of how its images were made"
    elif fit not in (None, trained := data.preprocessing.get("fit")):
        why = f"by --fit; it was trained with {trained}"
    return f"images are made {height} x {width} by {how.fit}{scale} ({why})"


@torch.no_grad()
def embed(
    method: Method, source: Source, hardware: Hardware
) -> Iterator[tuple[pa.Array, Tensor, Tensor | None]]:
    """Names, h (B, D) and z (B, d) of the images, part by part; prints which cannot be read.

    Raises `UserError` at the end if no image can be read.
    """
    progress, unreadable = Progress("embed", source.images), 0
    for part in source.parts:
        for line in part.unreadable:
            tqdm.write(line, file=sys.stderr)
        unreadable += len(part.unreadable)
        if len(part.names):
            x = to_shape(hardware.pixels(part.image), method.encoder.data.shape)
            with hardware.autocast():
                h = method.encoder(x)
                z = method.embed(h)
            yield part.names, h, z
        progress.advance(len(part.names) + len(part.unreadable))
    progress.close()
    if unreadable == source.images:
        raise UserError(f"none of the {unreadable} images can be read")
    left_out = f"; {unreadable} could not be read and are left out" if unreadable else ""
    print(f"{source.images - unreadable} images embedded{left_out}", file=sys.stderr)
