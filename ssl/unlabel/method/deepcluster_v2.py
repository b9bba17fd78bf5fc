"""DeepCluster-v2, of the paper on SwAV (appendix D). arXiv:2006.09882"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.augment import Augment
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.method import Batch, Method
from unlabel.method._views import compare
from unlabel.nn.clusters import k_means
from unlabel.nn.distributed import gather, world
from unlabel.nn.layers import mlp
from unlabel.nn.losses import cosine_similarities
from unlabel.ranges import Count, Positive

UNSEEN = -100  # the assignment of an image that has not been clustered


class DeepClusterV2(Method):
    """Cluster all images' embeddings now and then; predict each image's cluster in between."""

    bank: Tensor  # embeddings of two views of each image, 0 if not yet seen (2, N, d)
    waiting: Tensor  # images since the last clustering ()
    centroids: Tensor  # (heads, K, d)
    assignments: Tensor  # (heads, N)

    def __init__(
        self,
        encoder: Encoder,
        data: Data,
        augment: Augment,
        width: Count = 2048,
        dim: Count = 128,
        clusters: Count = 3000,
        heads: Count = 3,  # clusterings side by side
        iterations: Count = 10,  # of k-means
        every: Positive = 1.0,  # epochs between clusterings
        temperature: Positive = 0.1,
    ):
        super().__init__(encoder, data)
        self.augment, self.iterations, self.temperature = augment, iterations, temperature
        self.project = mlp(encoder.dim, width, dim)
        self.every, self.since = every * data.size, -1  # `waiting`, once it was read
        self.register_buffer("bank", torch.zeros(2, data.size, dim))
        self.register_buffer("waiting", torch.zeros((), dtype=torch.long))
        self.register_buffer("centroids", F.normalize(torch.randn(heads, clusters, dim), dim=2))
        self.register_buffer("assignments", torch.full((heads, data.size), UNSEEN))

    def step(self, batch: Batch) -> Iterator[Tensor]:
        if self.since < 0:  # read once, as a GPU waits for it
            self.since = int(self.waiting)
        if self.since + len(batch.x) * world() > self.every and self.bank.any():
            self.cluster()
        z = [self.embed(self.encoder(self.augment(batch.x))).float() for _ in self.bank]
        z = [F.normalize(each, dim=1) for each in z]
        pairs = list(zip(self.centroids, self.assignments[:, batch.i], strict=True))
        losses = [predict(each, c, y, self.temperature) for each in z for c, y in pairs]
        yield torch.stack(losses).mean()
        index = gather(batch.i)
        self.bank[:, index] = torch.stack([gather(each.detach()) for each in z]).to(self.bank)
        self.since += len(index)
        self.waiting.fill_(self.since)

    @torch.no_grad()
    def cluster(self) -> None:
        """Cluster what the bank has. Heads take turns with the two views' embeddings."""
        seen = self.bank[0].any(1)
        for head, centroids in enumerate(self.centroids):
            found, assigned = k_means(self.bank[head % 2, seen], len(centroids), self.iterations)
            centroids[: len(found)] = found
            self.assignments[head, seen] = assigned
        self.since = 0

    def embed(self, h: Tensor) -> Tensor:
        return self.project(h)

    def show(self, x: Tensor) -> dict[str, Tensor]:
        return compare(self, x, self.augment(x), self.augment(x))


def predict(z: Tensor, centroids: Tensor, y: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of clusters y (B,), which is 0 for the unseen: (B, D), (K, D) -> ()."""
    logits = cosine_similarities(z, centroids) / temperature
    return F.cross_entropy(logits, y, ignore_index=UNSEEN, reduction="none").mean()
