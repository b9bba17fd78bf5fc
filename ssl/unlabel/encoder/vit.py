"""torchvision's vision transformer, with access to its tokens."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from unlabel.augment import Size
from unlabel.data.images import Data
from unlabel.encoder._tokens import Tokens
from unlabel.errors import UserError
from unlabel.nn.patches import attention, sincos
from unlabel.ranges import Count

GRIDS = range(3, 9)  # patches along a side that is cut into about four


class ViT(Tokens):
    """An Image is Worth 16x16 Words (arXiv:2010.11929), without its classifier.

    The features are the mean of the patch tokens after the last layer norm. The position embeddings
    start as sines and cosines and are then learned: a short training cannot learn them from zero.
    """

    patches = True

    def __init__(
        self,
        data: Data,
        patch: Count | None = 4,  # pixels; None: about a quarter of the image's side
        dim: Count = 192,
        depth: Count = 12,
        heads: Count = 3,
    ):
        super().__init__(data)
        channels, (_, height, width) = len(data.mean), data.shape
        patch = patch_of((height, width), patch)
        self.dim, self.patch, self.grid = dim, patch, height // patch
        net = VisionTransformer(
            image_size=height,
            patch_size=patch,
            num_layers=depth,
            num_heads=heads,
            hidden_dim=dim,
            mlp_dim=4 * dim,
            num_classes=1,
        )
        if channels != 3:
            net.conv_proj = torch.nn.Conv2d(channels, dim, patch, patch)
            torch.nn.init.trunc_normal_(net.conv_proj.weight, std=(channels * patch**2) ** -0.5)
            torch.nn.init.zeros_(net.conv_proj.bias)
        self.conv_proj, self.encoder = net.conv_proj, net.encoder
        self.class_token = net.class_token
        place = F.pad(sincos(self.grid, dim), (0, 0, 1, 0))  # 0 for the class token
        self.encoder.pos_embedding.data.copy_(place)

    @classmethod
    def check(cls, settings: Mapping[str, Any], size: Size, seen: Iterable[Size]) -> None:
        patch = patch_of(size, settings["patch"])
        for each in seen:
            check_multiple(each, patch)

    def projection(self) -> nn.Module:
        return self.conv_proj

    def _tokens(
        self,
        x: Tensor,
        keep: Tensor | None = None,
        mask: Tensor | None = None,
        token: Tensor | None = None,
    ) -> Tensor:
        first, position = self.encoder.pos_embedding.tensor_split([1], 1)  # (1, N, D)
        if x.shape[2:] != self.data.shape[1:]:
            position = self._resized(position, x)
        h = self.conv_proj(self.normalise(x)).flatten(2).mT
        if mask is not None and token is not None:
            h = torch.where(mask.unsqueeze(2), token.to(h.dtype), h)
        h = h + position
        if keep is not None:
            h = h.gather(1, keep.unsqueeze(2).expand(-1, -1, self.dim))
        first = (self.class_token + first).expand(
            h.shape[0], -1, -1
        )  # len() would be a constant in an export
        with attention(x.device):
            tokens: Tensor = self.encoder.ln(self.encoder.layers(torch.cat([first, h], 1)))
        return tokens

    def _blocks(self) -> Iterable[nn.Module]:
        blocks: nn.Sequential = self.encoder.layers
        return blocks

    def maps(self, x: Tensor) -> Tensor:
        size = (x.shape[2] // self.patch, x.shape[3] // self.patch)
        return self.tokens(x)[:, 1:].mT.unflatten(2, size)

    def _resized(self, position: Tensor, x: Tensor) -> Tensor:
        """Interpolate the position embeddings for another image size, such as small crops."""
        check_multiple((x.shape[2], x.shape[3]), self.patch)
        size = (x.shape[2] // self.patch, x.shape[3] // self.patch)
        down, across = (bicubic(self.grid, n, x.device) for n in size)  # (h, g), (w, g)
        with torch.autocast(x.device.type, enabled=False):
            grid = position.unflatten(1, (self.grid, self.grid))  # (1, g, g, D)
            return torch.einsum("hr,wc,brcd->bhwd", down, across, grid).flatten(1, 2)


@cache
def bicubic(size: int, out: int, device: torch.device) -> Tensor:
    """The matrix that resizes `size` values as bicubic interpolation does: (out, size).

    The backward pass of `F.interpolate` gives other bits each time on a GPU.
    """
    one = torch.eye(size, device=device)[None, None]  # a row for each value
    return F.interpolate(one, (size, out), mode="bicubic")[0, 0].T.contiguous()


def patch_of(size: Size, patch: int | None) -> int:
    """The side of the patches that cut square images: `patch`, or what is nearest to a quarter.

    Raises `UserError` if no patch fits.
    """
    height, width = size
    sides = [height // n for n in GRIDS if height % n == 0] if patch is None else [patch]
    fits = [side for side in sides if height == width and height % side == 0]
    if not fits:
        chosen = "null" if patch is None else patch
        raise UserError(
            f"encoder.patch is {chosen}, but images of {height} x {width} pixels cannot be cut "
            "into square patches of this size; choose another patch or image size"
        )
    return min(fits, key=lambda side: abs(4 * side - height))


def check_multiple(size: Size, patch: int) -> None:
    """Raise `UserError` if what a method shows an encoder cannot be cut into its patches."""
    if size[0] % patch or size[1] % patch or not min(size):
        raise UserError(
            f"encoder.patch is {patch}, but the method gives the encoder images of "
            f"{size[0]} x {size[1]} pixels; choose multiples of the patch, or a ResNet"
        )
