"""Joint-embedding methods, as their recipes make them."""

import copy

from support.models import about, assembled, composed
from unlabel.augment import Augment
from unlabel.training import loop
from unlabel.training.optimizer import sgd


def made(name, digits, variant="base"):
    """A method whose views are the images themselves."""
    method = assembled(composed(name, variant), about(digits)).train()
    for each in ("augment", "augment_", "local"):
        if hasattr(method, each):
            setattr(method, each, Augment())
    if hasattr(method, "left_out"):
        method.left_out = dict.fromkeys(method.left_out, ())
    return method


def stepped(method, batch, hardware, steps):
    """The method's buffers and what its teacher makes of the batch, after each step."""
    optimizer = sgd(method, lr=0.1)
    for _ in range(steps):
        twin = copy.deepcopy(method)
        loop.update(method, [batch], [optimizer], hardware)
        yield twin
