"""How much memory a job asks for that holds the features of a dataset."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from unlabel.run import Run
from unlabel.workflow.plan import Plan, run_of

FEW = 1 << 17  # images whose features fit into what each job gets
FLOAT = 4  # bytes
WITHIN = 1000  # MiB of features that are part of what each job gets


@dataclass(frozen=True)
class Memory:
    """What jobs ask for, in MiB, by the plan."""

    plan: Plan

    def features(self, least: int, **known: str) -> Callable[[Any], int]:
        """Of a job that measures a run's features, of its dataset or of its `target`."""

        def needed(wildcards: Any) -> int:
            run, other = run_of(wildcards, known), getattr(wildcards, "target", None)
            stage = "features" if other is None else "transfer"
            return self._of(least, run, stage, other or run.dataset)

        return needed

    def page(self, least: int, runs: Iterable[Run]) -> int:
        """Of a page, which holds the features of one of these runs at a time."""
        return max((self._of(least, r, "features", r.dataset) for r in runs), default=least)

    def _of(self, least: int, run: Run, stage: str, dataset: str) -> int:
        if not self.plan.main:
            return least  # nobody asks
        there = self.plan.datasets.expected(dataset).images
        images = measured(there, self.plan.entries[run.folder][stage]["images"])
        return least if images <= FEW else needed(least, images, self._dim(run))

    def _dim(self, run: Run) -> int:
        """The length of a run's features; kept in the plan."""
        stage = self.plan.entries[run.folder]["pretrain"]
        if "dim" not in stage:
            from unlabel.workflow import image_fit  # loads torch; only for many images

            stage["dim"] = image_fit.dim(self.plan.trained_by(run))
        return int(stage["dim"])


def needed(least: int, images: int, dim: int) -> int:
    """MiB for the features of so many images, each `dim` long, of a job that gets `least` or more.

    A probe holds them once. What it needs beside them does not grow: a process (1 GiB), what a
    linear classifier has turned (2 GiB at most), and the projector's output of 131,072 images.
    """
    return max(least, least - WITHIN + ceil(images * dim * FLOAT / 2**20))


def measured(images: Mapping[str, int] | None, limit: int | None) -> int:
    """The images with features: at most `limit` of train, and all others; 0 if nobody knows."""
    if images is None:
        return 0
    train = images["train"] if limit is None else min(images["train"], limit)
    return train + sum(number for split, number in images.items() if split != "train")
