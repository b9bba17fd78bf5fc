"""Metrics that several methods log."""

from collections.abc import Iterator

from unlabel.metric import Metric

PRETEXT_ACCURACY = Metric("accuracy", "accuracy at the pretext task", share=True, better="higher")
PROJECTOR_DEVIATION = Metric("projector_deviation", "deviation of the projections")
TOLD_APART = Metric("told_apart", "images the discriminator is right about", share=True)
INVARIANCE = Metric("invariance", "invariance term of the loss", better="lower")
ADVERSARIAL = (
    Metric("loss_1", "loss of the discriminator", better="lower"),
    Metric("loss_2", "loss of its opponent", better="lower"),
)


def of_spaces(*names: str) -> Iterator[Metric]:
    """The losses of several embedding spaces."""
    return (Metric(name, f"loss of the space {name!r}", better="lower") for name in names)
