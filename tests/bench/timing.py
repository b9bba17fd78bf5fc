"""Times several functions in turn, so that whatever else the machine does meets all alike."""

import time
from collections.abc import Callable, Mapping
from statistics import median


def interleaved(functions: Mapping[str, Callable[[], object]], rounds: int = 9) -> dict[str, float]:
    """The median seconds of each function over `rounds` rounds, after one to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 1):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return {name: median(values) for name, values in seconds.items()}
