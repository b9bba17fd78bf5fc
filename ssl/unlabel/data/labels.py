"""Use a fraction of the labels, or make some of them wrong."""

import torch
from torch import Tensor

from unlabel.data.images import UNLABELLED
from unlabel.errors import UserError
from unlabel.seeds import generator


def stratified(label: Tensor, fraction: float, seed: int) -> Tensor:
    """Choose a random `fraction` of each class: labels (N,), -1 for none -> indices (n,).

    Takes at least one image of each class. With the same seed, a smaller fraction is part of a
    larger one. Raises `UserError` unless 0 < fraction <= 1.
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


def noisy(label: Tensor, share: float, classes: int, seed: int) -> Tensor:
    """Change a random `share` of the labels (N,) to another class, all classes being as likely.

    With the same seed, a larger share changes everything that a smaller one does, and in the same
    way. Raises `UserError` if there is no other class.
    """
    known = (label != UNLABELLED).nonzero().flatten()
    draw = generator(seed, "noise")
    wrong = known[torch.randperm(len(known), generator=draw)][: int(share * len(known) + 0.5)]
    if not len(wrong):
        return label
    if classes < 2:
        raise UserError("training.label_noise needs two classes or more, or no label can be wrong")
    by = torch.randint(1, classes, (len(known),), generator=draw)[: len(wrong)]
    return label.scatter(0, wrong, (label[wrong] + by) % classes)
