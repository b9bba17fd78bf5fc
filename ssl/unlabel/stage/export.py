"""Take an encoder out of a run, for programs that do not know this one."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from unlabel import encoder as encoders
from unlabel import weights
from unlabel.encoder import Encoder
from unlabel.errors import UserError
from unlabel.features.trained_encoder import digest, encoder_file, settings_of
from unlabel.files import whole

OPSET = 18  # the oldest that torch writes, and so what most runtimes read


def run(run: Path, out: Path) -> None:
    """Write the encoder of the folder `run` to `out`, in the format that its suffix names.

    .safetensors: the weights; where the encoder is one of torchvision's, under torchvision's names.
    .pt2: a program for `torch.export.load`, and .onnx one for ONNX runtimes: float32 images in
    [0, 1] (B, C, H, W) of any number B, which they normalise themselves -> h (B, D).

    The file also says what the run and its data were, as JSON under the name `unlabel`: settings,
    classes, the channels' mean and deviation, the sha256 of the run's encoder.safetensors. Raises
    `UserError` for a folder of no trained run, another suffix, or if ONNX is not installed.
    """
    if out.suffix not in FORMATS:
        raise UserError(f"{out} must end in {', '.join(FORMATS)}: the suffix chooses the format")
    path = encoder_file(run)
    encoder, settings = encoders.load(path), settings_of(run)
    about = {
        "encoder": settings["encoder"],  # it and `data` are what `unlabel.encoder.load` reads
        "data": asdict(encoder.data),
        "settings": settings,
        "encoder_sha256": digest(path),
    }
    FORMATS[out.suffix](out, encoder, about)
    size = ", ".join(map(str, encoder.data.shape))
    print(f"{out}: images (B, {size}) in [0, 1] -> h (B, {encoder.dim})")


def write_weights(path: Path, encoder: Encoder, about: Mapping[str, Any]) -> None:
    """As safetensors."""
    weights.write(path, encoder.state_dict(), dict(about))


def write_program(path: Path, encoder: Encoder, about: Mapping[str, Any]) -> None:
    """As torch.export's archive: a graph in JSON, tensors as their bytes, and `unlabel.json`."""
    traced = trace(encoder)
    traced.example_inputs = None  # torch would store them in a form that can carry code
    archive = io.BytesIO()
    torch.export.save(traced, archive, extra_files={"unlabel.json": json.dumps(about)})
    _write(path, archive.getvalue())


def write_onnx(path: Path, encoder: Encoder, about: Mapping[str, Any]) -> None:
    """As an ONNX graph from `images` to `h`, its weights inside."""
    try:
        import onnxscript  # noqa: F401  what torch writes ONNX with
    except ImportError as error:
        raise UserError(f"{path} needs onnxscript: pip install 'unlabel[export]'") from error
    made = torch.onnx.export(
        trace(encoder),
        input_names=["images"],
        output_names=["h"],
        dynamic_shapes={"x": {0: "batch"}},  # its name in the file
        opset_version=OPSET,
        verbose=False,
    )
    assert made is not None
    made.model.metadata_props["unlabel"] = json.dumps(about)
    _write(path, made.model_proto.SerializeToString())


FORMATS: dict[str, Callable[[Path, Encoder, Mapping[str, Any]], None]] = {
    ".safetensors": write_weights,
    ".pt2": write_program,
    ".onnx": write_onnx,
}


def trace(encoder: Encoder) -> ExportedProgram:
    """The encoder in evaluation mode as a graph of torch's own operations, for any batch size."""
    x = torch.zeros(2, *encoder.data.shape)
    traced = torch.export.export(encoder, (x,), dynamic_shapes={"x": {0: Dim("batch", min=1)}})
    for node in traced.graph.nodes:
        node.meta.pop("stack_trace", None)  # it names folders of this machine
    return traced


def _write(path: Path, content: bytes) -> None:
    with whole(path) as part:
        part.write_bytes(content)
