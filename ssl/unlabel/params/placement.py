"""Where a run's jobs compute."""

from dataclasses import dataclass
from typing import Literal

SLOTS = 8  # of each GPU; a job holds an equal share of them


@dataclass(frozen=True)
class Placement:
    """How jobs share GPUs, and where they read. No result depends on it, and no stage reads it."""

    runs_per_gpu: Literal[1, 2, 4, 8] = 1  # small trainings leave a GPU idle between kernels
    probes: bool = False  # do probes of features ask for a GPU, too?
    # Does a training copy its images to this machine first? See `unlabel.data.local_copy`.
    local_copy: bool | Literal["auto"] = "auto"

    @property
    def slots(self) -> int:
        """The slots of each of its GPUs that a job holds."""
        return SLOTS // self.runs_per_gpu
