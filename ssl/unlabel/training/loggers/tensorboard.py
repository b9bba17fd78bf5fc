"""Event files of TensorBoard, one folder for each run: `tensorboard --logdir logs/tensorboard`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from unlabel.training.loggers import Logger, Row, numbers

SECONDS = 10  # after at most so many, what was added is in the file


class Writer(Logger):
    """Begins afresh: the event files of an earlier attempt go."""

    def __init__(self, folder: Path, run: str, settings: Mapping[str, Any]):
        for path in (folder / run).glob("events.out.tfevents.*"):
            path.unlink()
        # A TensorBoard that has read them forgets what they said from step 0 on.
        self.writer = SummaryWriter(str(folder / run), purge_step=0, flush_secs=SECONDS)

    def add(self, row: Row) -> None:
        for name, value in numbers(row).items():
            self.writer.add_scalar(name, value, int(row["step"]))

    def close(self, finished: bool) -> None:
        self.writer.close()
