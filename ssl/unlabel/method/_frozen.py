"""An encoder that a method only looks at."""

from collections.abc import Mapping
from typing import Any

import torch

from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.params.settings import build
from unlabel.progress import note
from unlabel.seeds import derive

Recipe = Mapping[str, Any]  # `encoder`, its settings, and `start`, those of its weights or None
WHERE = "method.teacher"


def dim_of(recipe: Recipe, data: Data) -> int:
    """The length of its features; nothing is read or drawn for that."""
    try:
        with torch.device("meta"):
            return int(build(recipe["encoder"], WHERE, data=data).dim)
    except NotImplementedError:  # torchvision's RegNets compute with tensors as they are made
        with torch.random.fork_rng(devices=[]):
            return int(build(recipe["encoder"], WHERE, data=data).dim)


def frozen(recipe: Recipe, data: Data) -> Encoder:
    """The encoder, in evaluation mode and without gradients. No draw of the caller's changes.

    Raises `UserError` if its weights cannot be had.
    """
    network, start = recipe["encoder"], recipe["start"]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive("teacher"))  # and not a GPU's
        if start:
            made: Encoder = build(start, WHERE).encoder(network, data)
        else:
            note("the teacher is a random network; name weights with method.teacher.weights")
            made = build(network, WHERE, data=data)
    return made.eval().requires_grad_(False)
