"""Encode images as PNG, and choose what to show of their channels."""

import io
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor


def png(image: Tensor, shown: Sequence[int] | None = None) -> bytes:
    """Encode an image in [0, 1], (C, H, W), as the bytes of a PNG file; `shown` as in `visible`."""
    pixels = image.detach().float().cpu().clamp(0, 1).mul(255).round().to(torch.uint8)
    buffer = io.BytesIO()
    picture = visible(pixels, shown).permute(1, 2, 0).squeeze(2)
    Image.fromarray(picture.numpy()).save(buffer, "PNG")
    return buffer.getvalue()


def visible(image: Tensor, shown: Sequence[int] | None = None) -> Tensor:
    """An image as grey or colour: (C, H, W) -> (1, H, W) or (3, H, W).

    Of other than 1 or 3 channels, three are `shown` as red, green and blue: the first three, unless
    somebody chose. Of two channels, blue stays black.
    """
    channels = image.shape[0]
    if channels in (1, 3):
        return image
    if channels == 2:
        return torch.cat([image, torch.zeros_like(image[:1])])
    return image[list(shown or range(3))]
