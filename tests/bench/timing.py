"""Times several functions in turn, so that whatever else the machine does meets all alike."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from statistics import median

Around = Callable[[], AbstractContextManager[object]]


def interleaved(
    functions: Mapping[str, Callable[[], object]],
    rounds: int = 9,
    clock: Callable[[], float] = time.process_time,
    around: Mapping[str, Around] | None = None,
) -> dict[str, float]:
    """The median seconds of each function over `rounds` rounds, after one to warm up.

    By this process's CPU time, which is the wall's where one thread has a core to itself. What
    `around` has for a function is entered before each of its turns, and left after, untimed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 1):
        for name, function in functions.items():
            with (around or {}).get(name, nullcontext)():
                began = clock()
                function()
                ended = clock()
            if turn:
                seconds[name].append(ended - began)
    return {name: median(values) for name, values in seconds.items()}
