"""Images as sequences of square patches, and a small transformer that draws hidden patches."""

from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from unlabel.nn.draws import uniform


def patchify(x: Tensor, patch: int) -> Tensor:
    """(B, C, H, W) -> the pixels of each patch (B, N, C * patch²), in reading order."""
    return F.unfold(x, patch, stride=patch).mT


def assemble(patches: Tensor, patch: int, size: tuple[int, int]) -> Tensor:
    """The inverse of `patchify`: -> (B, C, *size)."""
    return F.fold(patches.mT, size, patch, stride=patch)


def random_mask(x: Tensor, patches: int, hidden: int) -> Tensor:
    """True for `hidden` patches of each image, chosen at random: (B, ...) -> bool (B, patches)."""
    return uniform(x, patches).argsort(1).argsort(1) < hidden


class PatchDecoder(nn.Module):
    """A class token and the codes of some patches -> the pixels of all patches.

    One learned token stands for each of the other patches. A fixed code of its position is added
    to each token (MAE, arXiv:2111.06377, appendix A.1), except to the class token.
    """

    position: Tensor

    def __init__(self, dim: int, grid: int, pixels: int, width: int, depth: int, heads: int):
        super().__init__()
        block = nn.TransformerEncoderLayer(
            width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.narrow = nn.Linear(dim, width)
        self.hidden = nn.Parameter(torch.randn(width) * 0.02)
        self.register_buffer("position", F.pad(sincos(grid, width), (0, 0, 1, 0)))
        norm = nn.LayerNorm(width)
        self.blocks = nn.TransformerEncoder(block, depth, norm, enable_nested_tensor=False)
        self.paint = nn.Linear(width, pixels)

    def forward(self, tokens: Tensor, keep: Tensor) -> Tensor:
        """Tokens (B, 1 + K, D), indices of their patches (B, K) -> pixels (B, N, P), in float32."""
        h = self.narrow(tokens)
        place = F.pad(keep + 1, (1, 0)).unsqueeze(2).expand_as(h)
        every = self.hidden.to(h.dtype).repeat(len(h), len(self.position), 1).scatter(1, place, h)
        with attention(h.device):
            pixels: Tensor = self.paint(self.blocks(every + self.position)[:, 1:])
        return pixels.float()


def attention(device: torch.device) -> AbstractContextManager[None]:
    """Inside, attention is computed in the fastest way that gives the same bits again.

    On a CPU it is the plain one: in bfloat16 there, the backward pass of torch's fused attention
    takes 10 times as long. On a GPU it is flash attention, which is deterministic where torch is
    told to be (`Hardware.configure`), or the plain one for float32, which flash attention lacks.
    """
    plain = SDPBackend.MATH
    return sdpa_kernel(plain if device.type == "cpu" else [SDPBackend.FLASH_ATTENTION, plain])


def sincos(grid: int, dim: int) -> Tensor:
    """The position of each cell of a square grid, as sines and cosines: (grid², dim).

    Cells are in reading order. Half of the dimensions encode the row and half the column, as in MAE
    and MoCo v3 (arXiv:2104.02057), with the frequencies of arXiv:1706.03762, section 3.5.
    """
    k = torch.arange(dim // 4)
    angle = torch.arange(grid)[:, None] / 10000 ** (k / (dim // 4))  # (grid, dim / 4)
    line = torch.cat([angle.sin(), angle.cos()], 1)
    return torch.cat([line.repeat_interleave(grid, 0), line.repeat(grid, 1)], 1)
