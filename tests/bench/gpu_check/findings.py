"""What a check has found so far, and how much of its time is left."""

import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class Findings:
    """Each finding is printed and written to OUT/results.json at once, whatever comes after it."""

    def __init__(self, out: Path, seconds: float, only: str = ""):
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.seconds, self.began = out, seconds, time.monotonic()
        self.only = only  # how the names of the parts begin that are wanted
        self.found: dict[str, Any] = {}

    def left(self) -> float:
        """Seconds."""
        return self.seconds - (time.monotonic() - self.began)

    def note(self, key: str, value: object) -> None:
        """Keep a finding."""
        self.found[key] = value
        spent = time.monotonic() - self.began
        print(f"[{spent:5.0f} s] {key}: {json.dumps(value)}", flush=True)
        (self.out / "results.json").write_text(json.dumps(self.found, indent=1))

    def phase(self, name: str, need: float, function: Callable[..., object], *args: object) -> None:
        """Run a part if it has time; one that fails is noted, and the next one runs."""
        if not name.startswith(self.only):
            return
        if self.left() < need:
            self.note(name, f"skipped: {self.left():.0f} s left, {need:.0f} needed")
            return
        try:
            function(*args)
        except Exception:
            self.note(name, "FAILED " + traceback.format_exc()[-1500:])
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def failed(self) -> list[str]:
        """The parts that failed."""
        return [key for key, value in self.found.items() if str(value).startswith("FAILED")]
