"""No training: the encoder with the weights that it was given."""

from unlabel.method.random import Random


class Imported(Random):
    """An encoder that was trained elsewhere, as it came."""

    needs_weights = True
