"""DeepPermNet: Visual Permutation Learning. arXiv:1704.02729"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.augment import Augment, Size
from unlabel.augment.tiles import cut, join, take, tile
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import LOSS, Batch, Method, Settings
from unlabel.method._metrics import PRETEXT_ACCURACY
from unlabel.nn.draws import uniform
from unlabel.nn.layers import mlp
from unlabel.ranges import Count, Natural, PositiveShare


class Sorting(Method):
    """Predict the original place of each of an image's shuffled horizontal strips.

    The encoder sees each strip alone or, with `together`, the shuffled image as one picture.
    """

    logs = (LOSS, PRETEXT_ACCURACY)

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        strips: Count = 4,
        share: PositiveShare = 0.85,
        together: bool = False,
        width: Count = 4096,
        iterations: Natural = 5,
    ):
        super().__init__(encoder, data)
        self.augment, self.strips, self.share = augment, strips, share
        self.together, self.iterations = together, iterations
        self.place = mlp((1 if together else strips) * encoder.dim, width, strips**2)

    @classmethod
    def inputs(cls, settings: Settings, size: Size) -> list[Size]:
        n = settings["strips"]
        height, width = tile(settings["augment"].size(size), n, 1, settings["share"])
        return [size, (n * height, width) if settings["together"] else (height, width)]

    def step(self, batch: Batch) -> Iterator[Tensor]:
        strips = cut(self.augment(batch.x), self.strips, 1, self.share)
        order = uniform(strips, self.strips).argsort(1)
        places = self.look(take(strips, order))  # strip k was at place order[k]
        self.measure(lambda: {"accuracy": (places.argmax(2) == order).float().mean()})
        yield F.nll_loss(places.flatten(0, 1), order.flatten())

    def look(self, strips: Tensor) -> Tensor:
        """Shuffled strips (B, n, C, h, w) -> log-probabilities of strip and place (B, n, n)."""
        h: Tensor = self.encoder(join(strips, 1) if self.together else strips.flatten(0, 1))
        return sinkhorn(self.place(h.view(len(strips), -1)), self.iterations)

    @torch.no_grad()
    def show(self, x: Tensor) -> dict[str, Tensor]:
        strips = cut(x, self.strips, 1, self.share)
        strips = take(strips, uniform(strips, self.strips).argsort(1))
        guess = self.look(strips).exp() @ torch.arange(self.strips, device=x.device).float()
        pictures = {"shuffled": strips, "sorted by expected place": take(strips, guess.argsort(1))}
        return {"image": x} | {k: join(v, 1, line=1) for k, v in pictures.items()}


def sinkhorn(scores: Tensor, iterations: int) -> Tensor:
    """The log of a doubly stochastic matrix: scores (B, n²) -> (B, n, n).

    Columns and rows of the exponentiated scores are normalised in turn.
    """
    n = round(scores.shape[1] ** 0.5)
    log = scores.float().unflatten(1, (n, n))
    for _ in range(iterations):
        log = log.log_softmax(1).log_softmax(2)
    return log
