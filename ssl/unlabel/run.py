"""A run's name, which is its path."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Run:
    """One training: its folder below data/runs says all that makes it."""

    budget: str
    dataset: str
    method: str
    variant: str  # `base`, or the sorted overrides that make it: `method.temperature=0.1`
    seed: int

    @property
    def folder(self) -> str:
        """Below data/runs."""
        return f"{self.budget}/{self.dataset}/{self.method}/{self.variant}/{self.seed}"

    @classmethod
    def parse(cls, folder: str) -> "Run":
        """From its folder."""
        budget, dataset, method, variant, seed = folder.split("/")
        return cls(budget, dataset, method, variant, int(seed))
