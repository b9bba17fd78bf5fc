"""The recipes of budget `full` in 200 steps: the whole course of a training on tiny images.

Rate, warm-up and all that depends on the progress of a training run from their start to their end.
So the full learning rate, which is for batches of up to 512 images, is met with a batch of 32.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from support.models import about, assembled, composed
from unlabel.data.images import Images
from unlabel.dataset.shapes import Shapes
from unlabel.hardware import Hardware
from unlabel.method import Method
from unlabel.params.settings import build
from unlabel.training import fits
from unlabel.training.loop import fit

STEPS, BATCH, EPOCHS = 200, 32, 20
SIDE = 16  # pixels
SMALL: dict[str, dict[str, Any]] = {  # in place of the budget's encoders
    "ResNet": {"_target_": "unlabel.encoder.resnet_mini.ResNetMini", "width": 8, "norm": "batch"},
    "ViT": {"_target_": "unlabel.encoder.vit.ViT", "patch": 4, "dim": 32, "depth": 6, "heads": 2},
}
SIZES = ("width", "width_predictor", "width_local", "dim", "dim_local", "latent", "prototypes")


@dataclass(frozen=True)
class Course:
    """What became of one training: the mean of each loss early on and in its last tenth."""

    method: str
    first: list[float]  # in the first tenth; see `early`
    last: list[float]
    drawn: tuple[float, float] | None  # see `distance`: before and after
    seconds: float

    @property
    def learns(self) -> bool:
        """Does its loss fall?

        The losses of a generator and a discriminator do not fall together. There, what is drawn
        must come nearer to real images, and the discriminator must not win: its loss stays above a
        tenth of that of a coin, 2 log 2.
        """
        if self.drawn is None:
            return self.last[0] < self.first[0]
        return self.drawn[1] < self.drawn[0] and self.last[0] > 0.14


def course(name: str, hardware: Hardware) -> Course:
    """Train a method by its recipe for `full`. Raises `AssertionError` if a loss is not finite."""
    settings, images = composed(name, budget="full"), shapes()
    settings["encoder"] = SMALL[settings["encoder"]["_target_"].rpartition(".")[2]]
    planned = settings["training"]
    warmup = planned["warmup"] * EPOCHS / planned["epochs"]
    planned |= {"batch": BATCH, "epochs": EPOCHS, "images": None, "warmup": warmup}
    data, settings["method"] = about(images), small(settings["method"])
    training, recipe, _ = fits.fit(settings | {"run": name}, data.size)
    method = hardware.move(assembled(settings | {"method": recipe}, data))
    optimizers = [build(settings["optimizer"], "optimizer", module=p) for p in method.players()]
    before, began = distance(method, hardware.pixels(images.image)), time.perf_counter()
    steps = fit(method, images, optimizers, training, hardware, 0)
    losses = torch.stack([torch.stack(step.losses) for step in steps])
    seconds = time.perf_counter() - began
    wrong = (~losses.isfinite()).any(1).nonzero().flatten().tolist()
    assert not wrong, f"{name}: the loss is not finite at step {wrong[0]}"
    assert len(losses) == STEPS
    after = distance(method, hardware.pixels(images.image))
    drawn = None if before is None or after is None else (before, after)
    tenths = losses.split(STEPS // 10)
    first, last = tenths[early(recipe)], tenths[-1]
    return Course(name, first.mean(0).tolist(), last.mean(0).tolist(), drawn, seconds)


def early(recipe: Mapping[str, Any]) -> int:
    """The tenth of a course that its end is compared with.

    Not the first where a method needs an epoch to begin: a queue is full of noise, which is easily
    told from keys, there are no clusters yet, or TiCo's moving average is still near zero.
    """
    waits = ("queue", "clusters", "contrast")
    return 1 if any(recipe.get(key) for key in waits) else 0


def small(recipe: dict[str, Any]) -> dict[str, Any]:
    """A method's recipe with heads, codes and decoders of a sixteenth of their width."""
    sizes = {key: max(8, recipe[key] // 16) for key in SIZES if recipe.get(key)}
    if "depth" in recipe:  # of a transformer, whose width its heads must divide
        sizes |= {"width": 4 * recipe["heads"], "depth": 2}
    if recipe.get("queue"):  # in a longer one, of 320 images, a negative would be the image itself
        sizes["queue"] = 2 * BATCH
    if "splits" in recipe:  # of a batch of 512, which had 64 images each
        sizes["splits"] = 2
    if "blocks" in recipe:  # of 16 patches, not 64
        sizes["blocks"] = 2
    return recipe | sizes


@cache
def shapes() -> Images:
    """Drawn shapes of 16 x 16 pixels, in colour, as many as an epoch has."""
    train = Shapes(size=STEPS // EPOCHS * BATCH, test=100).load(Path()).train
    image = F.avg_pool2d(train.image.float(), train.image.shape[2] // SIDE)
    return Images.of(train.id, image.round().to(torch.uint8), train.label)


@torch.no_grad()
def distance(method: Method, x: Tensor) -> float | None:
    """How far a GAN's drawings are from real images (B, C, H, W); None for other methods.

    The energy distance of their pixels (Székely and Rizzo 2013): 0 for equal distributions.
    """
    if len(method.players()) == 1:
        return None
    torch.manual_seed(0)
    drawn, real = method.generate(method.noise(x)).flatten(1), x.flatten(1)
    between, within = torch.cdist(real, drawn).mean(), torch.cdist(drawn, drawn).mean()
    return float(2 * between - within - torch.cdist(real, real).mean())
