"""k nearest neighbours, against plain loops."""

import math

import torch

from unlabel.nn.nearest import vote


def test_knn_weights_votes_as_section_3_4_of_instance_discrimination():
    draw = torch.Generator().manual_seed(0)
    bank, query = torch.randn(90, 5, generator=draw), torch.randn(40, 5, generator=draw)
    label = torch.randint(4, (90,), generator=draw)
    expected = []
    for q in query.tolist():
        similarity = []
        for b in bank.tolist():
            dot = sum(x * y for x, y in zip(q, b, strict=True))
            similarity.append(dot / math.hypot(*q) / math.hypot(*b))
        order = sorted(range(90), key=lambda i: -similarity[i])
        votes = [0.0] * 4
        for i in order[:7]:
            votes[int(label[i])] += math.exp(similarity[i] / 0.07)
        expected.append(votes.index(max(votes)))
    assert vote(bank, label, query, 7, 0.07).tolist() == expected
