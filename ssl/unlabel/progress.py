"""Progress for people to follow: a bar in a terminal, a line now and then in a log file."""

import sys
import time
from collections.abc import Mapping

from tqdm import tqdm

SECONDS = 10  # between two lines


def note(text: str) -> None:
    """Say what people should know of a job; the workflow shows it when the job has ended."""
    print(f"note: {text}", file=sys.stderr, flush=True)


class Progress:
    """Counts images; shows images/s, the time left and a few values."""

    def __init__(self, name: str, images: int, done: int = 0):
        self.name, self.images, self.start = name, images, done
        self.done, self.began = done, time.monotonic()
        self.said = self.began
        hidden = not sys.stderr.isatty()
        self.bar = tqdm(
            total=images, initial=done, desc=name, unit=" images", unit_scale=True, disable=hidden
        )

    def advance(self, images: int, values: Mapping[str, float] | None = None) -> None:
        """`images` more are done."""
        self.done += images
        self.bar.update(images)
        if values and not self.bar.disable:
            self.bar.set_postfix(values)
        now = time.monotonic()
        if self.bar.disable and (now - self.said > SECONDS or self.done >= self.images):
            self.said = now
            extra = "".join(f" · {key} {value:.4g}" for key, value in (values or {}).items())
            share = self.done / max(self.images, 1)
            line = f"{self.name}: {share:4.0%} · {self.rate:,.0f} images/s · {self.left:.0f} s left"
            print(line + extra, file=sys.stderr, flush=True)

    @property
    def rate(self) -> float:
        """Images per second since this process started to count."""
        return (self.done - self.start) / max(time.monotonic() - self.began, 1e-9)

    @property
    def left(self) -> float:
        """Seconds until all are done, at this rate."""
        return (self.images - self.done) / max(self.rate, 1e-9)

    def close(self) -> None:
        """End the bar's line."""
        self.bar.close()
