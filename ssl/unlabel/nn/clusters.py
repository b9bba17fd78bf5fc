"""Clusters of unit vectors."""

import torch
import torch.nn.functional as F
from torch import Tensor


def k_means(z: Tensor, clusters: int, iterations: int) -> tuple[Tensor, Tensor]:
    """Spherical k-means of unit vectors (N, D), in float32: centroids (K, D), assignments (N,).

    It starts from random vectors, of which there are at most N. An empty cluster stays as it is.
    """
    centroids = z[torch.randperm(len(z), device=z.device)[:clusters]]
    with torch.autocast(z.device.type, enabled=False):
        for _ in range(iterations):
            one_hot = F.one_hot((z @ centroids.T).argmax(1), len(centroids)).to(z)
            total = one_hot.T @ z  # (K, D)
            used = one_hot.any(0).unsqueeze(1)
            centroids = torch.where(used, F.normalize(total, dim=1), centroids)
        return centroids, (z @ centroids.T).argmax(1)
