"""A run's name, which is its path."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unlabel.errors import UserError
from unlabel.metric import Metric

BASE = "base"  # the variant of a recipe as it is
BASELINE = "random"  # the untrained encoder, which every method must beat
# What a training writes into the run's folder. The last file says that all are there.
TRAINED = (
    "params.yaml",
    "encoder.safetensors",
    "method.safetensors",
    "log.parquet",
    "pictures.parquet",
    "run.json",
)
NUMBERS = (  # of run.json
    Metric("images", "images to train on"),
    Metric("parameters", "parameters of the encoder"),
    Metric("seconds", "time to train one run", unit="s", better="lower"),
    Metric("images_per_second", "images trained on in a second", better="higher"),
    Metric("peak_memory", "peak memory", unit="bytes", better="lower"),
)
PREPARED = ("train.arrow", "validation.arrow", "test.arrow", "report.json")  # of a dataset
ASIDE = "finished"  # the folder of a training that ended when no Snakemake was watching


@dataclass(frozen=True, order=True)
class Run:
    """One training. Its folder below data/runs says everything that defines it."""

    budget: str
    dataset: str
    method: str
    variant: str  # `base`, or the sorted overrides: `method.temperature=0.1`
    seed: int

    @property
    def folder(self) -> str:
        """Below data/runs."""
        return f"{self.budget}/{self.dataset}/{self.method}/{self.variant}/{self.seed}"

    @property
    def arm(self) -> str:
        """What it shares with its other seeds. Files have this name, so it must never change."""
        return self.method if self.variant == BASE else f"{self.method}/{self.variant}"

    @classmethod
    def of(cls, path: str) -> "Run":
        """The run that a file below data/runs belongs to. Raises `UserError` if there is none."""
        return cls.parse("/".join(path.split("/")[2:7]))

    @classmethod
    def parse(cls, folder: str) -> "Run":
        """The run of a folder. Raises `UserError` if the folder is not a run's."""
        try:
            budget, dataset, method, variant, seed = folder.split("/")
            run = cls(budget, dataset, method, variant, int(seed))
            if run.folder != folder or run.seed < 0:
                raise ValueError(f"no seed is written {seed!r}")  # as 01 and 1_0 are
            return run
        except ValueError as error:
            raise UserError(
                f"{folder!r} is not a run: write BUDGET/DATASET/METHOD/VARIANT/SEED, "
                "SEED a number such as 0 or 12"
            ) from error


def files_of(runs: Iterable[Run], *names: str) -> list[str]:
    """These files of each run."""
    return [f"data/runs/{run.folder}/{name}" for run in runs for name in names]


def compared(runs: Iterable[Run]) -> list[str]:
    """The files with the metrics that people compare, one for each arm."""
    return sorted({f"reports/metrics/{run.dataset}/{run.arm}.json" for run in runs})


def versioned(runs: Sequence[Run], metrics: Iterable[str]) -> list[str]:
    """All that DVC versions of these runs, their `metrics`, and their datasets."""
    made = files_of(runs, *TRAINED, "features.parquet", "views.parquet", *metrics)
    datasets = dict.fromkeys(run.dataset for run in runs)
    return made + [f"data/prepared/{name}/{file}" for name in datasets for file in PREPARED]


def shown(runs: Iterable[Run], method: str, seed: int | None = None) -> list[Run]:
    """The runs on a method's page: its own and the untrained ones, of one seed or of all."""
    return [run for run in runs if run.method in (method, BASELINE) and seed in (None, run.seed)]
