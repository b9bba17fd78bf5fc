"""Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles. arXiv:1603.09246"""

import itertools
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.augment import Augment, Size
from unlabel.augment.tiles import cut, join, take, tile
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.errors import UserError
from unlabel.method import LOSS, Batch, Method, Settings
from unlabel.method._metrics import PRETEXT_ACCURACY
from unlabel.nn.draws import integers
from unlabel.nn.layers import mlp
from unlabel.ranges import Count, PositiveShare


class Jigsaw(Method):
    """Predict which permutation of a fixed set shuffled an image's tiles.

    The encoder sees each tile alone or, with `together`, the puzzle as one picture.
    """

    logs = (LOSS, PRETEXT_ACCURACY)
    permutations: Tensor

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        tiles: Count = 3,
        permutations: Count = 1000,
        share: PositiveShare = 64 / 75,
        together: bool = False,
        width: Count = 4096,
    ):
        super().__init__(encoder, data)
        if not 1 < permutations <= {2: 24, 3: 362880}.get(tiles, 0):
            asked = f"method.tiles={tiles} and method.permutations={permutations}"
            raise UserError(f"jigsaw: {asked}; choose tiles 2 and up to 24, or 3 and up to 362880")
        self.augment, self.tiles, self.share, self.together = augment, tiles, share, together
        self.register_buffer("permutations", maximal_hamming(tiles**2, permutations))
        dim = encoder.dim * (1 if together else tiles**2)
        self.classify = mlp(dim, width, permutations)  # figure 3: fc7, fc8

    @classmethod
    def inputs(cls, settings: Settings, size: Size) -> list[Size]:
        n = settings["tiles"]
        height, width = tile(settings["augment"].size(size), n, n, settings["share"])
        return [size, (n * height, n * width) if settings["together"] else (height, width)]

    def step(self, batch: Batch) -> Iterator[Tensor]:
        tiles = cut(self.augment(batch.x), self.tiles, self.tiles, self.share)
        which = integers(batch.x, 0, len(self.permutations))
        logits = self.look(take(tiles, self.permutations[which]))
        self.measure(lambda: {"accuracy": (logits.argmax(1) == which).float().mean()})
        yield F.cross_entropy(logits, which)  # equation 2: the permutation, given the tiles

    def look(self, puzzle: Tensor) -> Tensor:
        """Shuffled tiles (B, N, C, h, w) -> logits of the permutations (B, P)."""
        x = join(puzzle, self.tiles) if self.together else puzzle.flatten(0, 1)
        logits: Tensor = self.classify(self.encoder(x).view(len(puzzle), -1))
        return logits

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        which = torch.arange(len(x), device=x.device) % len(self.permutations)
        puzzle = take(cut(x, self.tiles, self.tiles, self.share), self.permutations[which])
        solved = take(puzzle, self.permutations[self.look(puzzle).argmax(1)].argsort(1))
        pictures = {"puzzle": puzzle, "solved as predicted": solved}
        return {"image": x} | {k: join(v, self.tiles, line=1) for k, v in pictures.items()}


def maximal_hamming(n: int, count: int) -> Tensor:
    """Algorithm 1: permutations (count, n) of n tiles, each as far as possible from those before.

    The distance is to the nearest of these; the paper sums over all. The first is the identity.
    """
    every = torch.tensor(list(itertools.permutations(range(n))))  # (n!, n)
    chosen, nearest = [0], torch.full((len(every),), n)
    while len(chosen) < count:
        nearest = nearest.minimum((every != every[chosen[-1]]).sum(1))
        chosen.append(int(nearest.argmax()))
    return every[chosen]
