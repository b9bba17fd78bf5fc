"""One comparison of a benchmark."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """What was measured of ours and of theirs, in one unit; theirs may be a limit that we set.

    `target` is the ratio we want to reach.
    """

    case: str
    against: str
    ours: float
    theirs: float
    unit: str
    target: float | None = None

    @property
    def ratio(self) -> float:
        """How many times as good as theirs ours is; of rates and accuracies, more is better."""
        more = self.unit.endswith(("/s", "right"))
        return self.ours / self.theirs if more else self.theirs / self.ours

    def written(self) -> dict[str, Any]:
        """As JSON has it, to four digits."""
        numbers = {"ours": self.ours, "theirs": self.theirs, "ratio": self.ratio}
        return asdict(self) | {name: float(f"{value:.4g}") for name, value in numbers.items()}
