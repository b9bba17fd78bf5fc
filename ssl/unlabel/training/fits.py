"""What a training makes of settings that need more images than there are."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from unlabel.errors import UserError
from unlabel.params.settings import arguments, build, target
from unlabel.training.loop import Training


class Fitted(NamedTuple):
    """A training and a method's settings that fit the images."""

    training: Training
    method: Mapping[str, Any]
    changes: dict[str, list[Any]]  # setting -> what was planned, and what it is


def fit(settings: Mapping[str, Any], images: int) -> Fitted:
    """Make a budget's batch, and what a recipe keeps of earlier batches, fit so many images.

    Raises `UserError` for a variant's own value that does not fit, and for too few images.
    """
    run, planned = settings["run"], build(settings["training"], "training")
    training = planned if "training.batch=" in run else planned.fitted(images)
    training.steps(images)  # raises where a batch does not fit
    changes = {"batch": [planned.batch, training.batch]}
    recipe, made = settings["method"], {}
    method = target(recipe, "method")
    every = arguments(recipe, method)
    for key, value in method.fitted(every, images, training.batch).items():
        if value == every[key]:
            continue
        if f"method.{key}=" in run:
            raise UserError(
                f"method.{key} is {every[key]}, but there are only {images} images to train on, in "
                f"batches of {training.batch}; set it to {value} or less, or train on more images"
            )
        changes[key], made[key] = [every[key], value], value
    changes = {key: both for key, both in changes.items() if both[0] != both[1]}
    return Fitted(training, {**recipe, **made}, changes)
