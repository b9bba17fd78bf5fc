"""Which images a training sees."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import torch

from unlabel.data.images import Data, Images
from unlabel.data.labels import noisy, stratified
from unlabel.errors import UserError
from unlabel.params.settings import target
from unlabel.seeds import generator
from unlabel.training.loop import Training


def choose(
    every: tuple[Images, Data], train: Path, training: Training, settings: dict[str, Any]
) -> tuple[Images, Data]:
    """The images to train on: `every` one of the file `train`, or a random subset by the seed.

    If there are fewer than a budget asks for, all are used; if there are fewer than a variant asks
    for, that is an error. A method that learns from labels gets only the images whose labels it may
    see.
    """
    seed = settings["seed"]
    examples, data = every
    size = len(examples.id)
    if training.images is not None:
        # A budget has time for this many at most; a variant is about exactly this many.
        if training.images > size and "training.images=" in settings["run"]:
            raise UserError(
                f"training.images is {training.images}, but {train} has only {size}; "
                "set it lower, or to null for all"
            )
        if training.images > size:
            print(f"{settings['run']}: {train} has {size} images; all are used", file=sys.stderr)
        size = min(training.images, size)
        order = torch.randperm(len(examples.id), generator=generator(seed, "subset"))
        examples = examples.take(order[:size].sort().values)
    if target(settings["method"], "method").labels:
        examples = _labelled(examples, training, data, settings)
        size = len(examples.id)
    return examples, dataclasses.replace(data, size=size)


def _labelled(examples: Images, training: Training, data: Data, settings: dict[str, Any]) -> Images:
    """The images with labels that a method may learn from, some of them wrong on purpose."""
    if not (examples.label >= 0).any():
        raise UserError(
            f"{settings['method']['_target_']} learns from labels, but no image of {data.name} "
            "has one; choose a method that needs none"
        )
    seed = settings["seed"]
    if training.labels < 1:
        examples = examples.take(stratified(examples.label, training.labels, seed))
    label = noisy(examples.label, training.label_noise, len(data.classes), seed)
    return examples._replace(label=label)
