"""Do the features fall into clusters, and are these the classes?"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.data.images import UNLABELLED
from unlabel.features.split import Features
from unlabel.metric import Metric
from unlabel.nn.clusters import k_means
from unlabel.probe import Probe
from unlabel.ranges import Count
from unlabel.seeds import derive


class Clustering(Probe):
    """Spherical k-means of the training features, with as many clusters as classes.

    The test images, each put to its nearest centroid, are compared with the classes: normalised
    mutual information, adjusted Rand index, and the accuracy under the best matching of clusters to
    classes (Hungarian method). Labels choose nothing: of several starts, the tightest clusters
    count. The silhouette of the validation images needs no labels.
    """

    labels = False
    least = 2  # the silhouette compares images

    def __init__(
        self,
        clusters: Count = 10,  # if there are no labels
        starts: Count = 10,
        iterations: Count = 50,
        images: Count = 10_000,  # of train
        silhouette: Count = 2000,  # images of the validation split
    ):
        self.clusters, self.starts, self.iterations = clusters, starts, iterations
        self.images, self.silhouette = images, silhouette

    def metrics(self) -> Iterable[Metric]:
        for name, title, share in (
            ("nmi", "normalised mutual information", False),
            ("ari", "adjusted Rand index", False),
            ("accuracy", "accuracy of matched clusters", True),
        ):
            title = f"k-means: {title}"
            yield Metric(f"clustering_{name}", title, share=share, better="higher", labels=True)
        yield Metric("clustering_silhouette", "k-means: silhouette, validation", better="higher")

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """`clustering_nmi`, `_ari`, `_accuracy` and `clustering_silhouette`."""
        number = self.clusters
        if features.labelled:
            label = features.train.label
            number = len(label[label != UNLABELLED].unique())
        x = F.normalize(features.train.some(self.images, seed, "clustering").h, dim=1)
        centroids = self._centroids(x, min(number, len(x)), seed)
        some = F.normalize(features.validation.h[: self.silhouette], dim=1)
        measures = {"clustering_silhouette": silhouette(some, (some @ centroids.T).argmax(1))}
        if features.labelled:
            test = features.test.labelled()
            found = (F.normalize(test.h, dim=1) @ centroids.T).argmax(1)
            table = contingency(test.label, found, len(features.classes), len(centroids))
            measures["clustering_nmi"] = mutual_information(table)
            measures["clustering_ari"] = adjusted_rand(table)
            measures["clustering_accuracy"] = matched_accuracy(table)
        return measures

    def _centroids(self, x: Tensor, number: int, seed: int) -> Tensor:
        """The centroids (K, D) of unit vectors (N, D) to which these are nearest."""
        best, found = -float("inf"), x[:number]
        for start in range(self.starts):
            torch.manual_seed(derive(seed, "clustering", start))
            centroids, _ = k_means(x, number, self.iterations)
            tight = (x @ centroids.T).amax(1).double().mean().item()
            if tight > best:
                best, found = tight, centroids
        return found


def contingency(label: Tensor, cluster: Tensor, labels: int, clusters: int) -> Tensor:
    """How many images of each class are in each cluster: (N,), (N,) -> (labels, clusters)."""
    flat = torch.bincount(label * clusters + cluster, minlength=labels * clusters)
    return flat.view(labels, clusters).double().cpu()


def mutual_information(table: Tensor) -> float:
    """Mutual information of class and cluster / the mean of their entropies; 0 if both are 0."""
    p = table / table.sum()
    rows, columns = p.sum(1), p.sum(0)
    joint = _entropy(rows) + _entropy(columns) - _entropy(p.flatten())
    mean = (_entropy(rows) + _entropy(columns)) / 2
    return max(0.0, joint / mean) if mean > 0 else 0.0


def _entropy(p: Tensor) -> float:
    return float(-torch.xlogy(p, p).sum())


def adjusted_rand(table: Tensor) -> float:
    """Pairs of images that class and cluster both join, beyond chance (Hubert and Arabie 1985)."""

    def pairs(count: Tensor) -> float:
        return float((count * (count - 1) / 2).sum())

    both, rows, columns = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    every = pairs(table.sum())
    chance = rows * columns / every if every else 0.0
    most = (rows + columns) / 2
    return (both - chance) / (most - chance) if most != chance else 0.0


def matched_accuracy(table: Tensor) -> float:
    """The share of images in the cluster of their class, by the matching that makes it largest."""
    from scipy.optimize import linear_sum_assignment  # takes a second to import

    rows, columns = linear_sum_assignment(table.numpy(), maximize=True)
    return float(table[rows, columns].sum() / table.sum())


def silhouette(x: Tensor, cluster: Tensor) -> float:
    """The mean silhouette of unit vectors (N, D) by cosine distance (Rousseeuw 1987); from -1 to 1.

    An image alone in its cluster counts 0, and so do all if there is one cluster.
    """
    kinds, cluster = cluster.unique(return_inverse=True)
    if len(kinds) < 2:
        return 0.0
    one_hot = F.one_hot(cluster, len(kinds)).double()
    size = one_hot.sum(0)
    total = (1 - x.double() @ x.double().T).clamp(min=0) @ one_hot  # (N, K)
    own = one_hot.bool()
    inside = total[own] / (size[cluster] - 1).clamp(min=1)
    outside = (total / size).masked_fill(own, float("inf")).amin(1)
    widest = torch.maximum(inside, outside)
    values = torch.where(widest > 0, (outside - inside) / widest, 0)
    return values.masked_fill(size[cluster] == 1, 0).mean().item()
