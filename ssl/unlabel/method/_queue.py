"""How long a queue of earlier batches may be."""

from unlabel.method import Settings


def fitted(settings: Settings, images: int, batch: int, least: int = 0) -> Settings:
    """`settings` with a `queue` of no more keys than there are images outside of a batch.

    A longer one would hold old keys of each image, as negatives of itself. It is a number of whole
    batches, and `least` of them if there are too few images.
    """
    longest = max(max(images - batch, 0) // batch, least) * batch
    if settings["queue"] <= max(images - batch, longest):
        return settings
    return {**settings, "queue": longest}
