"""Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture (I-JEPA).

arXiv:2301.08243
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.augment.tiles import take
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.errors import UserError
from unlabel.method import LOSS, Batch
from unlabel.method._patches import PatchMethod, copied, with_patches
from unlabel.metric import Metric
from unlabel.nn.distributed import gather
from unlabel.nn.draws import integers, uniform
from unlabel.nn.layers import Teacher, cosine
from unlabel.nn.patches import PatchDecoder, assemble
from unlabel.ranges import Count, PartialShare, Share


class IJEPA(PatchMethod):
    """From some patches, predict a momentum teacher's tokens of blocks elsewhere in the image."""

    logs = (LOSS, Metric("target_deviation", "deviation of the targets"))

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        width: Count = 384,
        depth: Count = 12,
        heads: Count = 12,
        blocks: Count = 4,
        block: PartialShare = 0.175,  # share of the image that a square block covers
        momentum: Share = 0.996,
    ):
        super().__init__(with_patches(encoder, "i_jepa"), data)
        self.grid, self.blocks = self.encoder.grid, blocks
        self.side = max(1, round(self.grid * block**0.5))
        self.context = self.grid**2 - blocks * self.side**2  # patches that surely remain
        if self.context < 1:
            raise UserError(
                f"method.blocks is {blocks} and method.block is {block}: they may cover all of "
                f"{self.grid**2} patches; choose fewer or smaller blocks"
            )
        self.predict = PatchDecoder(encoder.dim, self.grid, encoder.dim, width, depth, heads)
        self.teacher, self.momentum = Teacher(encoder), momentum

    def step(self, batch: Batch) -> Iterator[Tensor]:
        block, keep = self.draw(batch.x)
        with torch.no_grad():
            tokens = copied(self.teacher).tokens(batch.x)[:, 1:].float()
            target = take(F.layer_norm(tokens, tokens.shape[2:]), block)
        guess = take(self.predict(self.encoder.tokens(batch.x, keep), keep), block)
        self.measure(lambda: {"target_deviation": gather(target).flatten(0, 1).std(0).mean()})
        yield F.smooth_l1_loss(guess, target)
        self.teacher.follow(self.encoder, cosine(self.momentum, 1, batch.t), batch.share)

    def draw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The patches of all blocks (B, blocks * side²), and the context: patches outside (B, K).

        Blocks may overlap. The context is a random choice, equally large for all images.
        """
        corner = integers(x, 0, self.grid - self.side + 1, self.blocks, 2).unsqueeze(3)
        row, column = (corner + torch.arange(self.side, device=x.device)).unbind(2)  # (B, n, side)
        block = (row.unsqueeze(3) * self.grid + column.unsqueeze(2)).flatten(1)
        order = uniform(x, self.grid**2).scatter(1, block, 2.0).argsort(1)  # blocks come last
        return block, order[:, : self.context]

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        block, keep = self.draw(x)
        patch, size = self.encoder.patch, (x.shape[2], x.shape[3])

        def shown(places: Tensor) -> Tensor:
            mask = torch.zeros(len(x), self.grid**2, 1, device=x.device)
            mask = mask.scatter(1, places.unsqueeze(2), 1.0).expand(-1, -1, x.shape[1] * patch**2)
            return x.where(assemble(mask, patch, size) > 0, 0.5)

        return {"image": x, "context": shown(keep), "blocks to predict": shown(block)}
