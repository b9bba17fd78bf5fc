"""Encode images as PNG."""

import io

import torch
from PIL import Image
from torch import Tensor


def png(image: Tensor) -> bytes:
    """Encode an image in [0, 1], (C, H, W) with C 1 or 3, as the bytes of a PNG file."""
    pixels = image.detach().float().cpu().clamp(0, 1).mul(255).round().to(torch.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).squeeze(2).numpy()).save(buffer, "PNG")
    return buffer.getvalue()
