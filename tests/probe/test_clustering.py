"""Clustering, against scikit-learn and plain loops."""

from dataclasses import replace
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics

from support.clouds import clouds
from unlabel.probe import clustering
from unlabel.probe.clustering import Clustering, contingency


def test_numbers_of_clusters_are_scikit_learns():
    draw = torch.Generator().manual_seed(0)
    for classes, clusters in ((4, 4), (3, 5), (5, 2), (1, 3), (1, 1)):
        label = torch.randint(classes, (90,), generator=draw)
        found = torch.where(torch.rand(90, generator=draw) < 0.5, label % clusters, 0)
        table = contingency(label, found, classes, clusters)
        pair = (label.numpy(), found.numpy())
        right = metrics.normalized_mutual_info_score(*pair)
        # with one class and one cluster they agree, which says nothing: here that is 0
        assert clustering.mutual_information(table) == pytest.approx(right * (classes > 1))
        if classes > 1:
            right = metrics.adjusted_rand_score(*pair)
            assert clustering.adjusted_rand(table) == pytest.approx(right)


def test_accuracy_is_that_of_the_best_matching():
    draw = torch.Generator().manual_seed(1)
    table = torch.randint(20, (4, 5), generator=draw).double()
    every = (sum(table[i, j] for i, j in enumerate(p)) for p in permutations(range(5), 4))
    assert clustering.matched_accuracy(table) == float(max(every) / table.sum())


def test_silhouette_is_scikit_learns():
    x = F.normalize(torch.randn(60, 4, generator=torch.Generator().manual_seed(2)), dim=1)
    cluster = (x[:, 0] > 0).long() + 5 * (x[:, 1] > 0.9).long()
    cluster[3] = 20  # alone
    right = metrics.silhouette_score(x.numpy(), cluster.numpy(), metric="cosine")
    assert clustering.silhouette(x, cluster) == pytest.approx(right, abs=1e-6)
    assert clustering.silhouette(x, torch.zeros(60, dtype=torch.int64)) == 0
    assert clustering.silhouette(torch.ones(6, 1), torch.arange(6) % 2) == 0


def test_clear_clusters_are_found_and_labels_choose_nothing():
    draw, parts = torch.Generator().manual_seed(3), {}
    for name in ("train", "validation", "test"):
        part = getattr(clouds(), name)
        centre = 4 * torch.eye(6)[torch.arange(len(part.id)) % 4]
        parts[name] = part._replace(h=centre + torch.randn(len(part.id), 6, generator=draw))
    features = replace(clouds(), **parts)
    found = Clustering().measure(features, 0)
    assert found["clustering_accuracy"] > 0.9
    assert found == Clustering().measure(features, 0)
    rolled = features.test._replace(label=features.test.label.roll(1))
    other = Clustering().measure(replace(features, test=rolled), 0)
    assert other["clustering_silhouette"] == found["clustering_silhouette"]
    assert other["clustering_accuracy"] != found["clustering_accuracy"]


def test_without_labels_there_is_the_silhouette_alone():
    parts = {
        name: part._replace(label=torch.full_like(part.label, -1))
        for name in ("train", "validation", "test")
        for part in [getattr(clouds(), name)]
    }
    measures = Clustering(clusters=3).measure(replace(clouds(), **parts), 0)
    assert set(measures) == {"clustering_silhouette"}
