"""A linear classifier from few labels."""

import statistics
from collections.abc import Iterable, Sequence

from unlabel.data.images import UNLABELLED
from unlabel.data.labels import stratified
from unlabel.errors import UserError
from unlabel.features.split import Features
from unlabel.metric import Metric, accuracies
from unlabel.probe import Probe, percent
from unlabel.probe._axes import axes
from unlabel.probe._regression import accuracy, choose
from unlabel.ranges import Count, Positive, PositiveShare
from unlabel.seeds import derive


class LowShot(Probe):
    """Accuracy of a linear classifier fitted to a fraction of the training labels.

    The mean over several random draws of the labels, each with the same fraction of every class.
    The draws depend on the seed alone, so all methods are compared on the same labels. All training
    images with features standardise the features, and the whole validation split chooses each
    draw's weight decay: the fraction counts only the labels that the classifier is fitted to.
    """

    def __init__(
        self,
        fractions: Sequence[PositiveShare] = (0.01, 0.1),
        draws: Count = 3,
        l2: Sequence[Positive] = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4),
        tolerance: Positive = 1e-5,
    ):
        self.fractions, self.draws = fractions, draws
        self.l2, self.tolerance = l2, tolerance

    def metrics(self) -> Iterable[Metric]:
        for share in map(percent, self.fractions):
            name, title = f"lowshot_{share}", f"linear accuracy, {share} % of labels"
            yield from accuracies(name, title, labels=True)
            yield Metric(f"{name}_std", f"{title}, deviation over draws", share=True, labels=True)

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """For 1 %: the means `lowshot_1`, `validation_lowshot_1`; the deviation `lowshot_1_std`."""
        validation, test = features.validation.labelled(), features.test.labelled()
        turned = axes(features.train.h)
        x, x_validation, x_test = (turned(h) for h in (features.train.h, validation.h, test.h))
        label, classes = features.train.label, len(features.classes)
        known = int((label != UNLABELLED).sum())
        labels = known if features.labels is None else features.labels
        measures = {}
        for fraction in self.fractions:
            share = fraction * labels / known
            if fraction <= 1 < share:
                raise UserError(
                    f"probe.lowshot.fractions has {fraction:g}, which is {fraction * labels:.0f} "
                    f"labels, but there are features of {known} training images with a label; "
                    "set features.images to more, to null for all, or give a smaller fraction"
                )
            chosen, tested = [], []
            for draw in range(self.draws):
                index = stratified(label, share, derive(seed, "draw", draw)).to(label.device)
                few, truth = (x.take(index), label[index]), (x_validation, validation.label)
                best = choose(*few, *truth, classes, self.l2, self.tolerance)
                chosen.append(best.accuracy)
                tested.append(accuracy(best.weight, x_test, test.label))
            name = f"lowshot_{percent(fraction)}"
            measures[name] = statistics.mean(tested)
            measures[f"validation_{name}"] = statistics.mean(chosen)
            measures[f"{name}_std"] = statistics.stdev(tested) if self.draws > 1 else 0.0
        return measures
