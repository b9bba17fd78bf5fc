"""The one interface every probe fits: features in, numbers out. Each other file is a probe.

A probe chooses nothing by the labels of the test split: it only measures with them, once.
"""

import torch
from torch import Tensor

from unlabel.errors import UserError
from unlabel.features import Features
from unlabel.images import UNLABELLED
from unlabel.seeds import generator


class Probe:
    """Measures features. Accuracies are shares, from 0 to 1."""

    labels = True  # does it need labels?

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """Names to numbers. What is random in it depends on the seed alone."""
        raise NotImplementedError


def stratified(label: Tensor, fraction: float, seed: int) -> Tensor:
    """A random `fraction` of each class: labels (N,), -1 where there is none -> indices (n,).

    Of each class as near to the fraction as whole images allow, and at least one. With one seed, a
    smaller fraction is part of a larger one. Raises `UserError` unless 0 < fraction <= 1.
    """
    if not 0 < fraction <= 1:
        raise UserError(
            f"a fraction of the labels is {fraction}, but must be above 0 and at most 1"
        )
    chosen = []
    for kind in label[label != UNLABELLED].unique().tolist():
        members = (label == kind).nonzero().flatten().cpu()
        size = max(1, int(fraction * len(members) + 0.5))
        order = torch.randperm(len(members), generator=generator(seed, "labels", kind))
        chosen.append(members[order[:size]])
    return torch.cat(chosen).sort().values


def percent(fraction: float) -> str:
    """A fraction in a metric's name: 0.01 is 1."""
    return f"{100 * fraction:g}"
