"""What a dataset's images mean for a run: whether it can work with them, and what must fit."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from unlabel.augment import Size
from unlabel.data.expected import Expected
from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.errors import UserError
from unlabel.fingerprint import targets
from unlabel.method import Method
from unlabel.params.settings import arguments, build, target
from unlabel.training import fits

OWN = "unlabel.encoder.own."
TEACHER = "method.teacher"  # the settings of a network that a method learns from


def check(settings: Mapping[str, Any], known: Expected) -> None:
    """Raise `UserError` if a run's method and encoder cannot work with such images.

    Each says so itself: `Method.inputs` and `Encoder.check`. What is said while a method is made,
    of settings that do not go together, is said now.
    """
    encoder: type[Encoder] = target(settings["encoder"], "encoder")
    method: type[Method] = target(settings["method"], "method")
    recipe = arguments(settings["method"], method)
    if method.needs_weights and "start" not in settings:
        raise UserError("imported has nothing to import; name weights, as encoder.weights=FILE")
    network = arguments(settings["encoder"], encoder)
    if method.needs_patches(recipe) and (other := encoder.without_patches(network, known.size)):
        name = method.__module__.rpartition(".")[2]
        raise UserError(f"{name} needs an encoder with patches, not {other}; set encoder=vit_mini")
    if known.size is not None:
        seen = method.inputs(recipe, known.size)
        encoder.check(network, known.size, seen)
        if "teacher" in recipe:
            _check_teacher(recipe["teacher"]["encoder"], known.size, seen)
        _check_made(settings, known.size)


def _check_teacher(network: Mapping[str, Any], size: Size, seen: Sequence[Size]) -> None:
    teacher: type[Encoder] = target(network, TEACHER)
    try:
        teacher.check(arguments(network, teacher), size, seen)
    except UserError as error:  # which names an encoder's settings
        said = str(error).replace("encoder.", f"{TEACHER}.")
        raise UserError(f"the teacher: {said}") from error


def _check_made(settings: Mapping[str, Any], size: Size) -> None:
    """Make a method of tensors without numbers, which takes no time and no memory.

    No plan runs code of one's own.
    """
    if any(each.startswith(OWN) for each in targets(settings)):
        return
    data = Data("", (3, *size), (0.5,) * 3, (0.5,) * 3, ("",), 1, "", {})
    given: dict[str, Any] = {"data": data}
    section = "encoder"
    try:
        with torch.device("meta"):
            given["encoder"] = build(settings[section], section, **given)
            section = "method"
            build(settings[section], section, **given)
    except UserError:
        raise
    except (AssertionError, ValueError) as error:  # of a layer
        raise UserError(
            f"{settings[section]['_target_']} cannot be made with these settings of {section}: "
            f"{error}; mend them"
        ) from error
    except Exception:  # it needs numbers, as jigsaw does
        return


def dim(settings: Mapping[str, Any]) -> int:
    """The length of the features of a run's encoder."""
    data = Data("", (3, 64, 64), (0.5,) * 3, (0.5,) * 3, (), 0, "", {})
    encoder: Encoder = build(settings["encoder"], "encoder", data=data)
    return encoder.dim


def changes(settings: Mapping[str, Any], known: Expected) -> dict[str, list[Any]]:
    """What a run will change in its settings, as there are few images: [planned, made].

    Under `images`, how many there are. Raises `UserError` if a variant's own value does not fit.
    """
    asked: int | None = settings["training"]["images"]
    there = known.images["train"] if known.images else None
    if asked is not None and there is not None and asked > there:
        if "training.images=" in settings["run"]:
            raise UserError(
                f"training.images is {asked}, but there are only {there} images to train on; set "
                "it lower, or to null for all"
            )
        asked = there
    images = there if asked is None else asked
    if images is not None and "training.images=" in settings["run"]:
        build(settings["training"], "training").steps(images)  # raises where a batch does not fit
    found = {} if images is None else fits.fit(settings, images).changes
    return {"images": [images], **found} if found else {}
