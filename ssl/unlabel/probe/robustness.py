"""Benchmarking Neural Network Robustness to Common Corruptions. arXiv:1903.12261"""

from collections.abc import Iterable, Iterator
from statistics import mean

import torch
from torch import Tensor

from unlabel.data.images import UNLABELLED, Images
from unlabel.data.loader import batches
from unlabel.data.splits import random_subset
from unlabel.features.split import Features
from unlabel.metric import Metric
from unlabel.probe._axes import axes
from unlabel.probe._corruptions import CORRUPTIONS, corrupted
from unlabel.probe._regression import choose, guesses
from unlabel.probe._trained import EncoderProbe, Trained
from unlabel.probe.knn import KNN, vote
from unlabel.probe.linear import Linear
from unlabel.progress import Progress
from unlabel.ranges import Count
from unlabel.seeds import generator

BATCH = 500
SEVERITIES = 5
CLEAN = "clean"
EACH = "linear"  # the classifier whose accuracies are all kept, and not their means alone


class Robustness(EncoderProbe):
    """Accuracy of classifiers of clean images, linear and kNN, on corrupted test images.

    Nothing is fitted to corrupted images. The validation split, clean, chooses the weight decay.
    All methods and seeds see the same images, corrupted in the same way.
    """

    def __init__(self, linear: Linear, knn: KNN, images: Count = 1000, train: Count = 10_000):
        self.linear, self.knn = linear, knn
        self.images, self.train = images, train

    def metrics(self) -> Iterable[Metric]:
        for kind, said in (("linear", "linear"), ("knn", "kNN")):
            title = f"{said} accuracy under corruption"
            yield _accuracy(f"robustness_{kind}", f"{title}, mean")
            yield _accuracy(f"robustness_{kind}_clean", f"{said} accuracy, the same images, clean")
            for number in range(1, SEVERITIES + 1):
                name = f"robustness_{kind}_severity_{number}"
                yield _accuracy(name, f"{title}, severity {number}")
            for name in CORRUPTIONS:
                words = name.replace("_", " ")
                yield _accuracy(f"robustness_{kind}_{name}", f"{title}: {words}")
                for number in range(1, SEVERITIES + 1) if kind == EACH else ():
                    each = f"robustness_{kind}_{name}_{number}"
                    yield _accuracy(each, f"{title}: {words}, severity {number}")

    def measure_encoder(self, trained: Trained, seed: int) -> dict[str, float]:
        """`robustness_linear` and `robustness_knn`, the means over all that follows.

        `robustness_linear_SNOW` is the mean of one corruption, `robustness_linear_severity_3` that
        of a severity, `robustness_linear_SNOW_3` one number (of the linear classifier alone), and
        `robustness_linear_clean` that of the same images uncorrupted.
        """
        classifiers = self._classifiers(trained.features, seed)
        test = trained.splits[2]
        test = random_subset(test.take(test.label != UNLABELLED), self.images)
        truth = test.label.to(trained.features.train.h.device)
        right: dict[str, dict[str, float]] = {kind: {} for kind in classifiers}
        progress = Progress("robustness", len(test.id) * (SEVERITIES * len(CORRUPTIONS) + 1))
        for name, h in _features(trained, test, progress):
            for kind, classify in classifiers.items():
                right[kind][name] = (classify(h) == truth).double().mean().item()
        progress.close()
        return {
            f"robustness_{kind}{end}": value
            for kind, found in right.items()
            for end, value in _means(found, kind == EACH).items()
        }

    def _classifiers(self, features: Features, seed: int) -> dict:
        """What makes classes (N,) of features (N, D), fitted to clean ones."""
        train = features.train
        train = train.some(self.train, seed, "robustness", train.labelled_rows())
        validation = features.validation.labelled()
        turned = axes(train.h)
        known, chosen = (turned(train.h), train.label), (turned(validation.h), validation.label)
        classes, linear = len(features.classes), self.linear
        weight = choose(*known, *chosen, classes, linear.l2, linear.tolerance).weight
        bank = (train.h, train.label)
        return {
            "linear": lambda h: guesses(weight, turned(h)),
            "knn": lambda h: vote(*bank, h, self.knn.k, self.knn.temperature),
        }


def _features(trained: Trained, images: Images, progress: Progress) -> Iterator[tuple[str, Tensor]]:
    """The features (N, D) of the images, clean, and under each corruption and severity."""
    conditions = [(name, number) for name in CORRUPTIONS for number in range(1, SEVERITIES + 1)]
    for name, number in [(CLEAN, 0), *conditions]:
        draw, parts = generator("corruption", name, number), []
        for part in batches(images, BATCH, trained.hardware.workers):
            x = trained.hardware.pixels(part.image)
            x = corrupted(x, name, number - 1, draw) if number else x
            parts.append(trained.embed(x))
            progress.advance(len(part.id))
        yield f"_{name}_{number}" if number else f"_{name}", torch.cat(parts)


def _means(found: dict[str, float], each: bool) -> dict[str, float]:
    """The means of accuracies by the end of their names; those of `each` condition too, if so."""
    numbers = range(1, SEVERITIES + 1)
    of_names = {f"_{n}": mean(found[f"_{n}_{i}"] for i in numbers) for n in CORRUPTIONS}
    severities = {f"_severity_{i}": mean(found[f"_{n}_{i}"] for n in CORRUPTIONS) for i in numbers}
    kept = found if each else {f"_{CLEAN}": found[f"_{CLEAN}"]}
    return {"": mean(of_names.values())} | severities | of_names | kept


def _accuracy(name: str, title: str) -> Metric:
    return Metric(name, title, share=True, better="higher", labels=True)
