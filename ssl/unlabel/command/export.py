"""Write a trained encoder in a format that other programs read."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from unlabel import encoder as encoders
from unlabel import weights
from unlabel.command._out import check_out
from unlabel.encoder import Encoder
from unlabel.errors import UserError, reason
from unlabel.features.trained_encoder import encoder_file, settings_of
from unlabel.files import sha256, whole

OPSET = 18  # the oldest that torch writes, which most runtimes read


def run(run: Path, out: Path) -> None:
    """Write the encoder of a trained run as safetensors, torch.export or ONNX.

    The suffix of `out` chooses the format. A .safetensors file has the weights, under torchvision's
    names if the encoder is one of torchvision's. A .pt2 file is a program for `torch.export.load`,
    an .onnx file one for ONNX runtimes. Both take float32 images in [0, 1] (B, C, H, W), for any
    B, normalise them, and give h (B, D).

    Under the name `unlabel` the file also has, as JSON, the run's settings, its classes, the
    channels' mean and deviation, the sha256 of its encoder.safetensors and, for images of your own,
    how their files became what it was trained on (`data.preprocessing`: size, channels, fit,
    resampling, range).

    Args:
        run: the folder of a trained run
        out: the file to write, which ends in .safetensors, .pt2 or .onnx

    Raises:
        UserError: if the folder has no trained run, the suffix is another one, ONNX is not
            installed, or the encoder is no graph, as what it does depends on the images
    """
    if out.suffix not in FORMATS:
        raise UserError(f"{out} must end in {', '.join(FORMATS)}: the suffix chooses the format")
    check_out(out)
    path = encoder_file(run)
    encoder, settings = encoders.load(path), settings_of(run)
    about = {
        "encoder": settings["encoder"],  # it and `data` are what `unlabel.encoder.load` reads
        "data": encoder.data.record(),
        "settings": settings,
        "encoder_sha256": sha256(path),
    }
    FORMATS[out.suffix](out, encoder, about)
    size = ", ".join(map(str, encoder.data.shape))
    print(f"{out}: images (B, {size}) in [0, 1] -> h (B, {encoder.dim})")


def write_weights(path: Path, encoder: Encoder, about: Mapping[str, Any]) -> None:
    """Write the encoder as safetensors."""
    weights.write(path, encoder.state_dict(), dict(about))


def write_program(path: Path, encoder: Encoder, about: Mapping[str, Any]) -> None:
    """Write torch.export's archive: a graph in JSON, tensors as bytes, and `unlabel.json`."""
    traced = trace(encoder)
    traced.example_inputs = None  # torch would pickle them, and a pickle can carry code
    archive = io.BytesIO()
    torch.export.save(traced, archive, extra_files={"unlabel.json": json.dumps(about)})
    _write(path, archive.getvalue())


def write_onnx(path: Path, encoder: Encoder, about: Mapping[str, Any]) -> None:
    """Write an ONNX graph from `images` to `h`, with its weights inside."""
    try:
        import onnxscript  # noqa: F401  torch writes ONNX with it
    except ImportError as error:
        raise UserError(f"{path} needs onnxscript: pip install -e '.[export]'") from error
    traced = trace(encoder)
    try:
        made = torch.onnx.export(
            traced,
            input_names=["images"],
            output_names=["h"],
            dynamic_shapes={"x": {0: "batch"}},  # its name in the file
            opset_version=OPSET,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        why: BaseException = error
        while why.__cause__:  # the first names steps of torch, the last an operation
            why = why.__cause__
        raise UserError(
            f"torch cannot write this encoder as ONNX ({reason(why)}); write .pt2 or .safetensors"
        ) from error
    assert made is not None
    made.model.metadata_props["unlabel"] = json.dumps(about)
    _write(path, made.model_proto.SerializeToString())


FORMATS: dict[str, Callable[[Path, Encoder, Mapping[str, Any]], None]] = {
    ".safetensors": write_weights,
    ".pt2": write_program,
    ".onnx": write_onnx,
}


def trace(encoder: Encoder) -> ExportedProgram:
    """The encoder in evaluation mode as a graph of torch's own operations, for any batch size.

    Raises `UserError` if it is none, as a network of one's own with an `if` on pixels.
    """
    x = torch.zeros(2, *encoder.data.shape)
    try:
        traced = torch.export.export(encoder, (x,), dynamic_shapes={"x": {0: Dim("batch", min=1)}})
    except Exception as error:  # of the network, or one of torch's many kinds
        raise UserError(
            f"torch cannot make a graph of this encoder ({reason(error)}); write its weights, to a "
            ".safetensors file"
        ) from error
    for node in traced.graph.nodes:
        node.meta.pop("stack_trace", None)  # names folders of this machine
    return traced


def _write(path: Path, content: bytes) -> None:
    with whole(path) as part:
        part.write_bytes(content)
