"""A run's settings, data and method, as the stages put them together."""

import fcntl
import json
from copy import deepcopy
from functools import cache
from hashlib import sha256

import torch

from support import forks
from support.project import ROOT
from unlabel.data.images import Data, Images
from unlabel.encoder import Encoder
from unlabel.method import Method
from unlabel.params import compose
from unlabel.params.settings import build
from unlabel.seeds import derive

PARAMS = ROOT / "params"
METHODS = compose.names(PARAMS, "method")
TRAINED = [name for name in METHODS if name not in ("random", "imported")]
# what `pretrain` is told
PRETRAIN = ("seed", "hardware", "training", "monitor", "optimizer", "encoder", "method")


def about(images: Images) -> Data:
    """What a model must know of `images`."""
    channels = images.image.shape[1]
    classes = tuple(map(str, range(int(images.label.max()) + 1)))
    return Data(
        name="test",
        shape=tuple(images.image.shape[1:]),
        mean=(0.3,) * channels,
        std=(0.37,) * channels,
        classes=classes,
        size=len(images.id),
        source="scikit-learn",
        sha256={},
    )


@cache
def _composed(method: str, variant: str, budget: str) -> dict:
    """Composed once for all processes of the session, as Hydra takes a while for each."""
    name = sha256(f"{budget} {method} {variant}".encode()).hexdigest()
    kept = forks.shared(f"{name}.json")
    if kept is None:
        return compose.settings(PARAMS, budget, "digits", method, variant)
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept.exists():
            return json.loads(kept.read_text())
        settings = compose.settings(PARAMS, budget, "digits", method, variant)
        text = json.dumps(settings)
        if json.loads(text) == settings:
            kept.write_text(text)
    return settings


def composed(method: str, variant: str = "base", budget: str = "tiny") -> dict:
    """A run's settings on digits, at the budget for tests; the caller may change them."""
    return deepcopy(_composed(method, variant, budget))


def assembled(settings: dict, data: Data, seed: int = 0) -> Method:
    """The method of `settings`, as `pretrain` makes it."""
    torch.manual_seed(derive(seed, "weights"))
    encoder: Encoder = build(settings["encoder"], "encoder", data=data)
    return build(settings["method"], "method", encoder=encoder, data=data)


def encoder_of(name: str) -> str:
    """What makes the encoder of a method's recipe."""
    return composed(name)["encoder"]["_target_"]


def noise(shape: tuple[int, int, int], n: int = 40) -> Images:
    """Random images of four classes."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (n, *shape), dtype=torch.uint8, generator=generator)
    return Images.of(torch.arange(n), pixels, torch.arange(n) % 4)
