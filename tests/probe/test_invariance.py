"""Invariance, against plain loops."""

import math
from dataclasses import replace

import numpy as np
import torch

from support.clouds import clouds
from unlabel.features.split import Views
from unlabel.probe.invariance import Invariance


def test_invariance_is_the_mean_cosine_without_what_all_have_in_common():
    measured = clouds()
    draw = torch.Generator().manual_seed(3)
    h, h_, z = (torch.randn(7, 4, generator=draw) + 5 for _ in range(3))
    views = {"all": Views(torch.arange(7), h, h_, z, z), "blur": Views(torch.arange(7), h, h_)}
    measures = Invariance().measure(replace(measured, views=views), 0)
    mean = [sum(float(x) for x in column) / 7 for column in h.T]

    def cosine(a, b):
        a, b = ([float(x) - m for x, m in zip(each, mean, strict=True)] for each in (a, b))
        return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)

    positive = sum(cosine(h[i], h_[i]) for i in range(7)) / 7
    negative = [cosine(h[i], h_[j]) for i in range(7) for j in range(7) if i != j]
    assert math.isclose(measures["similarity_blur"], positive, rel_tol=1e-4)
    assert math.isclose(measures["positive_similarity"], positive, rel_tol=1e-4)
    assert math.isclose(measures["negative_similarity"], np.mean(negative), rel_tol=1e-4)
    margin = positive - np.mean(negative)
    assert math.isclose(measures["margin"], margin, rel_tol=1e-4)
    assert math.isclose(measures["margin_ratio"], margin / np.std(negative, ddof=1), rel_tol=1e-4)
    assert math.isclose(measures["positive_similarity_z"], 1, rel_tol=1e-5)
    assert "margin_z" in measures
    assert "similarity_blur_z" not in measures


def test_unrelated_images_are_not_alike_and_a_common_offset_earns_nothing():
    draw = torch.Generator().manual_seed(0)
    h, h_ = torch.randn(500, 8, generator=draw) + 100, torch.randn(500, 8, generator=draw) + 100
    for second, expected in ((h_, 0), (h, 1), (200 - h, -1)):
        views = {"all": Views(torch.arange(500), h, second)}
        measures = Invariance().measure(replace(clouds(), views=views), 0)
        assert abs(measures["positive_similarity"] - expected) < 0.1
        assert abs(measures["negative_similarity"]) < 0.01
    flat = {"all": Views(torch.arange(9), *torch.full((2, 9, 8), 0.1))}
    measures = Invariance().measure(replace(clouds(), views=flat), 0)
    assert set(measures.values()) == {0.0}
