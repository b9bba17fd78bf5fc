"""Run a trained encoder over any images."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from unlabel.data import image_source
from unlabel.data.image_source import Source
from unlabel.errors import UserError
from unlabel.features import neighbours
from unlabel.features.extract import load_method, to_shape
from unlabel.features.trained_encoder import digest, encoder_file, hardware_of, settings_of
from unlabel.files import check_file
from unlabel.hardware import Hardware
from unlabel.method import Method
from unlabel.progress import Progress


def run(
    run: Path,
    images: Path,
    out: Path,
    fit: str = "crop",
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
        images: a folder of images of any size and format, a CSV or Parquet file that has their
            paths or the encoded images, or a prepared Arrow file
        out: the Parquet file to write
        fit: how an image gets the encoder's proportions: crop, squeeze or pad
        device: where to compute, such as cpu or cuda; by default where the run was trained
        column: the column of the images in a table
        links: follow links to folders, and links that lead out of the folder of images

    Raises:
        UserError: if the folder has no trained run, or no image can be read
    """
    check_file(out)
    path, settings = encoder_file(run), settings_of(run)
    hardware = hardware_of(settings, device)
    hardware.configure()
    method = load_method(settings["method"], path, run / "method.safetensors")
    hardware.move(method)
    shape = method.encoder.data.shape
    source = image_source.open_source(images, shape, fit, column=column, links=links)
    for remark in source.remarks:
        print(remark, file=sys.stderr)
    about = {"run": settings["run"], "encoder_sha256": digest(path)}
    about |= {"images": str(images), "fit": fit, "column": column, "links": links}
    neighbours.write(out, source.key, embed(method, source, hardware), about)


@torch.no_grad()
def embed(
    method: Method, source: Source, hardware: Hardware
) -> Iterator[tuple[list[Any], Tensor, Tensor | None]]:
    """Names, h (B, D) and z (B, d) of the images, part by part; prints which cannot be read.

    Raises `UserError` at the end if no image can be read.
    """
    progress, unreadable = Progress("embed", source.images), 0
    for part in source.parts:
        for line in part.unreadable:
            tqdm.write(line, file=sys.stderr)
        unreadable += len(part.unreadable)
        if part.names:
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
