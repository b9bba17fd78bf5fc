"""Retrieval, against scikit-learn and plain loops."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score

from support.clouds import clouds
from unlabel.probe.retrieval import Retrieval, average_precision


def test_retrieval_is_the_fields_average_precision_and_recall(monkeypatch):
    monkeypatch.setattr("unlabel.probe.retrieval.BLOCK", 1000)  # few queries at a time
    found = Retrieval(queries=1000, images=1000, recall=[1, 3]).measure(clouds(), 0)
    bank, query = clouds().train.labelled(), clouds().test.labelled()
    similarity = F.normalize(query.h, dim=1) @ F.normalize(bank.h, dim=1).T
    precisions, first = [], {1: 0, 3: 0}
    for row, label in zip(similarity, query.label, strict=True):
        right = bank.label == label
        precisions.append(average_precision_score(right, row))
        for k in first:
            nearest = sorted(range(len(bank.id)), key=lambda i, row=row: -float(row[i]))[:k]
            first[k] += any(bool(right[i]) for i in nearest)
    assert found["retrieval_map"] == pytest.approx(
        sum(precisions) / len(precisions), abs=1e-4
    )  # equal similarities, rounded
    for k, count in first.items():
        assert found[f"retrieval_recall_{k}"] == count / len(query.id)
    assert set(found) == {metric.name for metric in Retrieval(recall=[1, 3]).metrics()}


def test_queries_and_images_are_as_many_as_asked_for_and_chosen_by_the_seed():
    first, again, other = (Retrieval(20, 50).measure(clouds(), seed) for seed in (0, 0, 1))
    assert first == again != other


def test_a_query_without_its_class_among_the_images_counts_as_not_found():
    assert average_precision(torch.tensor([[False, False]])).tolist() == [0]
    train = clouds().train
    one = replace(clouds(), train=train.take(train.label == 0))
    measures = Retrieval(recall=[1]).measure(one, 0)
    test = clouds().test.labelled()
    assert measures["retrieval_recall_1"] == float((test.label == 0).double().mean())
