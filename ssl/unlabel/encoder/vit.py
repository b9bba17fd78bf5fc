"""torchvision's vision transformer, with access to its tokens."""

import torch
from torch import Tensor
from torchvision.models import VisionTransformer

from unlabel.encoder import Encoder
from unlabel.errors import UserError
from unlabel.images import Data


class ViT(Encoder):
    """An Image is Worth 16x16 Words (arXiv:2010.11929), without its classifier.

    The features are the mean of the patch tokens after the last layer norm.
    """

    def __init__(self, data: Data, patch: int = 4, dim: int = 192, depth: int = 12, heads: int = 3):
        super().__init__(data)
        channels, height, width = data.shape
        if height != width or height % patch:
            raise UserError(
                f"encoder.patch is {patch}, but images of {height} x {width} pixels do not divide "
                "into square patches of this size; choose another patch or image size"
            )
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
        self.conv_proj, self.encoder = net.conv_proj, net.encoder
        self.class_token = net.class_token

    def tokens(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """The class token and the patch tokens: (B, C, H, W) -> (B, 1 + N, D).

        With patch indices `keep` (B, K), only these patches are looked at: -> (B, 1 + K, D).
        """
        position = self.encoder.pos_embedding  # (1, 1 + N, D)
        h = self.conv_proj(self.normalise(x)).flatten(2).mT + position[:, 1:]
        if keep is not None:
            h = h.gather(1, keep.unsqueeze(2).expand(-1, -1, self.dim))
        first = (self.class_token + position[:, :1]).expand(len(h), -1, -1)
        tokens: Tensor = self.encoder.ln(self.encoder.layers(torch.cat([first, h], 1)))
        return tokens

    def maps(self, x: Tensor) -> Tensor:
        return self.tokens(x)[:, 1:].mT.unflatten(2, (self.grid, self.grid))
