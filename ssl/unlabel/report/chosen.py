"""What a study of settings chooses for each method, on the validation split."""

from collections.abc import Iterator
from dataclasses import dataclass

from unlabel.analysis.arms import Arm, Comparison
from unlabel.analysis.frozen_study import FrozenStudy
from unlabel.run import BASE

HEADINGS = ("method", "settings tried", "chosen", "gain over its recipe")
VALIDATION = "validation_"


@dataclass(frozen=True)
class Choice:
    """The best of a method's arms, in words."""

    method: str
    tried: int
    arm: str
    gain: str  # over the recipe, in the unit of the metric

    @property
    def cells(self) -> tuple[str, ...]:
        """As a row below `HEADINGS`."""
        return self.method, str(self.tried), self.arm, self.gain


def choices(comparison: Comparison, study: FrozenStudy) -> tuple[Choice, ...]:
    """One for each method with several arms; none if the study does not ask for settings.

    It does if it claims nothing and its metric is one on the validation split.
    """
    if study.claims or not study.metric.startswith(VALIDATION):
        return ()
    return tuple(_choices(comparison, study.metric))


def _choices(comparison: Comparison, metric: str) -> Iterator[Choice]:
    measure = comparison.describe(metric)
    arms: dict[str, list[tuple[float, Arm]]] = {}
    for arm in comparison.arms:
        if found := arm.estimate(metric):
            arms.setdefault(arm.method, []).append((measure.sign * found.mean, arm))
    for method, tried in arms.items():
        base = [mean for mean, arm in tried if arm.label == BASE]
        if len(tried) < 2 or not base:
            continue
        best, arm = max(tried, key=lambda each: each[0])
        unit = " points" if measure.share else measure.suffix
        gain = f"{measure.write(best - base[0])}{unit}" if best > base[0] else "none"
        yield Choice(method, len(tried), "its recipe" if arm.label == BASE else arm.label, gain)
