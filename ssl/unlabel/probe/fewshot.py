"""SimpleShot: Revisiting Nearest-Neighbor Classification for Few-Shot Learning. arXiv:1911.04623"""

import math
import sys
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from unlabel.features.split import Features, Split
from unlabel.metric import Metric, accuracies
from unlabel.nn.blocks import mean
from unlabel.probe import Probe
from unlabel.ranges import Count
from unlabel.seeds import generator

WAYS = 5  # classes of an episode


class FewShot(Probe):
    """Accuracy in 5-way episodes: few images of each class, and the nearest centroid decides.

    Each episode draws five classes, `shots` images of each to learn from, and `queries` to test on.
    The mean of the training features is subtracted, and the rest brought to length 1 (CL2N). The
    episodes are the same for all methods and seeds, and labels of the split choose nothing else.
    """

    classes = WAYS

    def __init__(self, shots: Sequence[Count] = (1, 5), queries: Count = 15, episodes: Count = 600):
        self.shots, self.queries, self.episodes = shots, queries, episodes

    def metrics(self) -> Iterable[Metric]:
        for shots in self.shots:
            title = f"{WAYS}-way accuracy, {shots} shot{'s' * (shots > 1)}"
            yield from accuracies(f"fewshot_{shots}", title, labels=True)
            half = f"{title}, half of the 95 % interval over episodes"
            yield Metric(f"fewshot_{shots}_half", half, share=True, labels=True)

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """`fewshot_1` of test images, its `fewshot_1_half`, and `validation_fewshot_1`.

        Left out, and said, are numbers of shots for which too few classes have enough images.
        """
        centre = mean(features.train.h)
        measures: dict[str, float] = {}
        for shots in self.shots:
            splits = (features.validation, features.test)
            if (there := min(len(_members(split.labelled(), shots)) for split in splits)) < WAYS:
                print(
                    f"fewshot: no episodes with {shots} images of a class to learn from: {WAYS} "
                    f"classes need {shots + 1} images or more in the validation and in the test "
                    f"split, and {there} have them",
                    file=sys.stderr,
                )
                continue
            for prefix, split in (("", features.test), ("validation_", features.validation)):
                split = split.labelled()
                draw = generator("fewshot", shots, prefix)
                accuracy = self._episodes(split, F.normalize(split.h - centre, dim=1), shots, draw)
                measures[f"{prefix}fewshot_{shots}"] = accuracy.mean().item()
                if not prefix:
                    measures[f"fewshot_{shots}_half"] = half_width(accuracy)
        return measures

    def _episodes(self, split: Split, x: Tensor, shots: int, draw: Generator) -> Tensor:
        """The accuracy of each episode on unit vectors (N, D): (episodes,)."""
        members = _members(split, shots)
        return torch.stack([self._episode(x, members, shots, draw) for _ in range(self.episodes)])

    def _episode(self, x: Tensor, members: Sequence[Tensor], shots: int, draw: Generator) -> Tensor:
        kinds = torch.randperm(len(members), generator=draw)[:WAYS].tolist()
        queries = min(self.queries, *(len(members[kind]) - shots for kind in kinds))
        chosen = torch.stack(
            [
                members[kind][torch.randperm(len(members[kind]), generator=draw)[: shots + queries]]
                for kind in kinds
            ]
        )
        support, query = x[chosen].split([shots, queries], 1)  # (WAYS, shots, D)
        distance = torch.cdist(query.flatten(0, 1), support.mean(1))
        truth = torch.arange(WAYS, device=x.device).repeat_interleave(queries)
        return (distance.argmin(1) == truth).double().mean()


def _members(split: Split, shots: int) -> list[Tensor]:
    """The rows of each class that has more images than are learned from."""
    every = [(split.label == kind).nonzero().flatten() for kind in split.label.unique()]
    return [rows for rows in every if len(rows) > shots]


def half_width(accuracy: Tensor) -> float:
    """Half of the mean's 95 % interval over many episodes (n,), by the normal distribution."""
    if len(accuracy) < 2:
        return 0.0
    return 1.96 * accuracy.std().item() / math.sqrt(len(accuracy))
