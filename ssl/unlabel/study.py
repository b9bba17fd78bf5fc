"""A study: a question, and the runs that answer it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unlabel import compose
from unlabel.errors import UserError
from unlabel.run import Run
from unlabel.settings import build, load


@dataclass(frozen=True)
class Study:
    """Every method on every dataset, in every arm, with every seed."""

    title: str
    question: str
    datasets: list[str]
    seeds: list[int]
    metric: str  # the one that answers the question
    methods: list[str] | str = "all"  # those of params/method
    arms: dict[str, list[str]] = field(default_factory=lambda: {"base": []})  # label -> overrides
    statement: str = ""  # what is said, and is tested here
    source: str = ""  # who says it

    def runs(self, params: Path, budget: str) -> list[tuple[str, Run]]:
        """The arm and the run of all that is to be trained. Raises `UserError` if it is nothing."""
        methods: Sequence[str] = self.methods
        if methods == "all":
            methods = compose.names(params, "method")
        runs = [
            (arm, Run(budget, dataset, method, compose.variant(overrides), seed))
            for dataset in self.datasets
            for method in methods
            for arm, overrides in self.arms.items()
            for seed in self.seeds
        ]
        if not runs:
            raise UserError(
                f"the study {self.title!r} has nothing to run; give it at least one of each of "
                "datasets, methods, arms and seeds"
            )
        return runs


def read(params: Path, name: str) -> Study:
    """The study of params/study/NAME.yaml. Raises `UserError` if it is unknown or wrong."""
    path = params / "study" / f"{compose.choose(params, 'study', name)}.yaml"
    study: Study = build({"_target_": "unlabel.study.Study", **load(path)}, f"study.{name}")
    return study
