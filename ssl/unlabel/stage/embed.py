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
from unlabel.features.extract import in_shape, restored
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
    """Write the features of `images` by the encoder of the folder `run` to `out`, as Parquet.

    `images` is a folder of images of any size and kind, a CSV or Parquet file with paths or encoded
    images in `column`, or a prepared Arrow file. `links` follows links in a folder. `fit`
    says how images get the encoder's proportions: crop, squeeze or pad. The columns of `out` are
    `path` or `id`, `h` and, where the method has a projector, `z`. What cannot be read is listed on
    standard error and left out. Computes on `device`, or where the run was trained. Raises
    `UserError` for a folder of no trained run, and where no image can be read.
    """
    check_file(out)
    path, settings = encoder_file(run), settings_of(run)
    hardware = hardware_of(settings, device)
    method = restored(settings["method"], path, run / "method.safetensors")
    hardware.move(method)
    source = image_source.open_source(
        images, method.encoder.data.shape, fit, column=column, links=links
    )
    for remark in source.remarks:
        print(remark, file=sys.stderr)
    about = {"run": settings["run"], "encoder_sha256": digest(path)}
    about |= {"images": str(images), "fit": fit, "column": column, "links": links}
    neighbours.write(out, source.key, embed(method, source, hardware), about)


@torch.no_grad()
def embed(
    method: Method, source: Source, hardware: Hardware
) -> Iterator[tuple[list[Any], Tensor, Tensor | None]]:
    """Names, h (B, D) and z (B, d) of the images, part by part; says which cannot be read.

    Raises `UserError` in the end if none can.
    """
    progress, lost = Progress("embed", source.images), 0
    for part in source.parts:
        for line in part.unreadable:
            tqdm.write(line, file=sys.stderr)
        lost += len(part.unreadable)
        if part.names:
            x = in_shape(hardware.pixels(part.image), method.encoder.data.shape)
            with hardware.autocast():
                h = method.encoder(x)
                z = method.embed(h)
            yield part.names, h, z
        progress.advance(len(part.names) + len(part.unreadable))
    progress.close()
    if lost == source.images:
        raise UserError(f"none of the {lost} images can be read")
    left_out = f"; {lost} could not be read and are left out" if lost else ""
    print(f"{source.images - lost} images embedded{left_out}", file=sys.stderr)
