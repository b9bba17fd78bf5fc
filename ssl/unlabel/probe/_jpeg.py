"""JPEG's loss, batched: what an image looks like after JPEG (ITU-T T.81) with chroma halved."""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 8
LUMA = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56
14 17 22 29 51 87 80 62 18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92
49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""  # table K.1
CHROMA = "17 18 24 47 18 21 26 66 24 26 56 99 47 66 99 99"  # table K.2; all else is 99
RED, BLUE = 1.402, 1.772  # what Cr adds to red, and Cb to blue
WEIGHTS = (0.299, 0.587, 0.114)


def compressed(x: Tensor, quality: int) -> Tensor:
    """Images in [0, 1] (B, C, H, W) after JPEG of a quality from 1 to 100.

    Of other than three channels, each is compressed as grey.
    """
    height, width = x.shape[2:]
    edge = (0, -width % 16, 0, -height % 16)
    x = F.pad(x.mul(255).round(), edge, mode="replicate")
    luma, chroma = tables(quality, x.device)
    if x.shape[1] != 3:
        out = quantised(x - 128, luma) + 128
    else:
        red, green, blue = x.split(1, 1)
        y = WEIGHTS[0] * red + WEIGHTS[1] * green + WEIGHTS[2] * blue
        of_colour = F.avg_pool2d(torch.cat([(blue - y) / BLUE, (red - y) / RED], 1), 2)
        # libjpeg's smooth upsampling: a triangle filter.
        of_colour = quantised(of_colour.round(), chroma)
        cb, cr = F.interpolate(of_colour, scale_factor=2, mode="bilinear").split(1, 1)
        y = quantised((y - 128).round(), luma) + 128
        red, blue = y + RED * cr, y + BLUE * cb
        out = torch.cat([red, (y - WEIGHTS[0] * red - WEIGHTS[2] * blue) / WEIGHTS[1], blue], 1)
    return out[:, :, :height, :width].clamp(0, 255).round() / 255


def quantised(x: Tensor, table: Tensor) -> Tensor:
    """Rounds the cosine transform of each block of 8 x 8 to multiples of a table (8, 8)."""
    batch, channels, height, width = x.shape
    blocks = x.view(batch, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(3, 4)
    turn = cosines(x.device)
    kept = (turn @ blocks @ turn.T / table).round() * table
    return (turn.T @ kept @ turn).transpose(3, 4).reshape(x.shape).clamp(-128, 127)


@cache
def cosines(device: torch.device) -> Tensor:
    """The orthonormal cosine transform (8, 8)."""
    place = torch.arange(BLOCK)
    turn = torch.cos((2 * place + 1) * place[:, None] * math.pi / (2 * BLOCK)) / 2
    turn[0] /= math.sqrt(2)
    return turn.to(device)


@cache
def tables(quality: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The tables of luma and of chroma, (8, 8) each, as libjpeg makes them from a quality."""
    luma = torch.tensor(list(map(int, LUMA.split()))).view(BLOCK, BLOCK)
    chroma = torch.full((BLOCK, BLOCK), 99)
    chroma[:4, :4] = torch.tensor(list(map(int, CHROMA.split()))).view(4, 4)
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    scaled = [((each * percent + 50) // 100).clamp(1, 255) for each in (luma, chroma)]
    return scaled[0].float().to(device), scaled[1].float().to(device)
