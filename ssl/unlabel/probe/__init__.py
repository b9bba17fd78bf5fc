"""The one interface every probe fits: features in, numbers out. Each other file is a probe.

A probe chooses nothing by the labels of the test split: it only measures with them, once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from unlabel.errors import UserError
from unlabel.features.split import Features
from unlabel.metric import Metric


class Probe:
    """Measures features. Accuracies are shares, from 0 to 1."""

    labels = True  # does it need labels?
    least = 1  # how many validation images it needs
    classes = 1  # how many classes it needs
    masks = False  # does it need the class of each pixel?
    others: Sequence[str] = ()  # datasets that it compares with

    def metrics(self) -> Iterable[Metric]:
        """Every metric that `measure` may return, with what it means."""
        raise NotImplementedError

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """Names to numbers. What is random in it depends on the seed alone.

        Raises `UserError` for a probe that needs the encoder too.
        """
        raise UserError(
            f"{type(self).__name__} needs the encoder and not only its features; take it out of "
            "the lists of probes in params/config.yaml, and ask for it with --config probes=NAME"
        )


def balanced(right: Tensor, label: Tensor) -> float:
    """The mean over classes of the share that is right: bool (N,), labels (N,) -> ()."""
    _, place, count = label.unique(return_inverse=True, return_counts=True)
    hits = torch.zeros(len(count), dtype=torch.float64, device=right.device)
    return (hits.index_add_(0, place, right.double()) / count).mean().item()


def balanced_accuracy(name: str, title: str) -> Metric:
    """The `balanced` accuracy on the test split, of the accuracy NAME."""
    title = f"{title}, mean over classes"
    return Metric(f"balanced_{name}", title, share=True, better="higher", labels=True)


def percent(fraction: float) -> str:
    """A fraction in a metric's name: 0.01 is 1."""
    return f"{100 * fraction:g}"


def named(metric: str, dataset: str) -> str:
    """The name of a probe's metric on another dataset."""
    what = metric.removeprefix("validation_")
    return f"{metric.removesuffix(what)}{dataset}_{what}"


def transferred(metric: Metric, dataset: str) -> Metric:
    """A probe's metric, measured on another dataset."""
    title = f"{metric.title}, on {dataset.replace('_', ' ')}"
    return replace(metric, name=named(metric.name, dataset), title=title)
