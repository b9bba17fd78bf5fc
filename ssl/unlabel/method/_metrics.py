"""Metrics that several methods log."""

from collections.abc import Iterator

from unlabel.metric import Metric

PRETEXT_ACCURACY = Metric("accuracy", "accuracy at the pretext task", share=True, better="higher")
PROJECTOR_DEVIATION = Metric("projector_deviation", "deviation of the projections")
TOLD_APART = Metric("told_apart", "images the discriminator is right about", share=True)
INVARIANCE = Metric("invariance", "invariance term of the loss", better="lower")


def losses(*players: str) -> Iterator[Metric]:
    """The losses of players that take turns."""
    for number, player in enumerate(players, 1):
        yield Metric(f"loss_{number}", f"loss of the {player}", better="lower")
