"""The kNN accuracy of an encoder while it trains, for people to watch. It chooses nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from unlabel.data import images
from unlabel.data.images import UNLABELLED, Images
from unlabel.data.splits import random_subset
from unlabel.hardware import Hardware
from unlabel.nn.nearest import vote
from unlabel.ranges import Count

K, TEMPERATURE = 20, 0.07  # as the probe `knn`
BATCH = 250  # images that the encoder sees at a time: their maps should fit a processor's cache


@dataclass(frozen=True)
class Monitor:
    """What is seen of a training while it runs. The bits of the encoder do not depend on it."""

    every: Count | None = None  # epochs from one kNN accuracy to the next; null: none
    bank: Count = 250  # labelled training images that vote
    queries: Count = 300  # validation images that they are asked about
    loggers: Sequence[str] = ()  # programs that get the log as it grows: unlabel.training.loggers


def accuracy(
    monitor: Monitor, train: Images, validation: Path | None, hardware: Hardware
) -> "Accuracy | None":
    """What measures the kNN accuracy of a training's encoder; None if nobody asks or can know."""
    if monitor.every is None or validation is None:
        return None
    measured = Accuracy(train, images.read(validation)[0], monitor, hardware)
    return measured if len(measured.bank.id) and len(measured.queries.id) else None


class Accuracy:
    """kNN accuracy of an encoder on validation images, by the vote of some training images.

    Both are the same images for every run of a dataset.
    """

    def __init__(self, train: Images, validation: Images, monitor: Monitor, hardware: Hardware):
        self.hardware, self.every = hardware, monitor.every or math.inf
        self.bank = _labelled(random_subset(train, monitor.bank))
        self.queries = _labelled(random_subset(validation, monitor.queries))

    def __call__(self, encoder: nn.Module) -> float:
        """The share that is classified rightly, by an encoder in evaluation mode."""
        bank, queries = self._features(encoder, self.bank), self._features(encoder, self.queries)
        votes = vote(bank, self.bank.label, queries, K, TEMPERATURE)
        return (votes == self.queries.label).double().mean().item()

    def due(self, before: float, epoch: float) -> bool:
        """Has a multiple of `every` passed from one epoch to another?"""
        return before // self.every < epoch // self.every

    @torch.no_grad()
    def _features(self, encoder: nn.Module, seen: Images) -> Tensor:
        """The features (N, D) of what the encoder has `seen`, on the CPU."""
        found = []
        for part in seen.pixels.split(BATCH):
            with self.hardware.autocast():
                found.append(encoder(self.hardware.pixels(part)).float().cpu())
        return torch.cat(found)


def _labelled(some: Images) -> Images:
    """Those that have a label, as pixels."""
    return some.take(some.label != UNLABELLED).decoded()
