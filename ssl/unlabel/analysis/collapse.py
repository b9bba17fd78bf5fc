"""Decides when a training collapsed: all images end with nearly the same representation."""

import math
from collections.abc import Mapping

FLAT = 0.05  # deviation of the unit features' numbers; 1 where they point everywhere alike
LINE = 1.5  # effective rank; 1 where all features lie on one line
ADVICE = (
    "Try a lower optimizer.lr or a longer training.warmup; then check what keeps its features "
    "apart: negatives, stop-gradient, predictor, batch norm, variance term."
)


def collapse(last: Mapping[str, float]) -> str:
    """Why a training collapsed, judged by the last row of its log; empty if it did not."""
    if last.get("deviation", 1.0) < FLAT:
        return f"its features' deviation ended at {last['deviation']:.3f}, below {FLAT}"
    if last.get("effective_rank", math.inf) < LINE:
        return f"its features' effective rank ended at {last['effective_rank']:.2f}, below {LINE}"
    return ""
