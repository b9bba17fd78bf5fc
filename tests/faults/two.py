"""Two Snakemakes in one folder."""

import random
import time
from collections.abc import Iterator

from trial import Row, differs, end, fresh, start

TITLE = "Two at once"
TIMES = 2


def inject(times: int = TIMES) -> Iterator[Row]:
    """At the same moment, and the second some time later: who is refused says one sentence."""
    rng = random.Random(0)
    waits = {"at the same moment": 0.0, "the second later": None}
    for name, wait in waits.items():
        wrong, refused = [], []
        for _ in range(times):
            with fresh() as folder:
                first = start(folder)
                time.sleep(rng.uniform(2, 10) if wait is None else wait)
                second = end(start(folder, name="second"), folder, "second")
                ended = end(first, folder)
                wrong += differs(folder)
                wrong += [
                    each.said[-600:] for each in (ended, second) if each.status and not each.clear
                ]
                refused += [each.sentences[0] for each in (ended, second) if each.clear]
        said = (
            f"; {len(refused)} refused: `{refused[0].replace(str(folder), 'PROJECT')}`"
            if refused
            else ""
        )
        yield Row(name, times, f"{wrong or 'same bits'}{said}", not wrong)
