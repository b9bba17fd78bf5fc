"""Training steps: ours, ours on views that are ready, and lightly's on the same encoder."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import torch
from peers import Lightly
from row import Row
from timing import Around, interleaved

from unlabel.augment import Augment
from unlabel.cli import keep_memory
from unlabel.data.images import Data, Images
from unlabel.hardware import Hardware
from unlabel.method import Method
from unlabel.params import compose
from unlabel.params.settings import build
from unlabel.training.loop import Training, fit

TITLE = "Training: images a second and core"
PARAMS = Path(__file__).parents[2] / "params"
BATCH, CORES = 256, 2
WALL = time.perf_counter  # as worker processes are no part of this one's time
METHODS = ("simclr", "moco", "byol", "rotation")
CASES = (((1, 28, 28), "28×28 grey"), ((3, 32, 32), "32×32 colour"), ((3, 96, 96), "96×96 colour"))


class Ready(torch.nn.Module):
    """Gives back views made beforehand, in turn, where an augmentation would make them."""

    def __init__(self, augment: Augment, x: torch.Tensor):
        super().__init__()
        self.views, self.pairs = cycle([augment(x) for _ in range(4)]), cycle([augment.pair(x)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return next(self.views)

    def pair(self, x: torch.Tensor) -> torch.Tensor:
        return next(self.pairs)


class Contest:
    """A method of the budget quick on random images, and the steps that are compared."""

    def __init__(self, name: str, shape: tuple[int, int, int], batch: int = BATCH):
        settings = compose.settings(PARAMS, "quick", "fashion_mnist", name, "encoder=resnet_mini")
        self.name, self.batch, self.settings = name, batch, settings
        self.hardware: Hardware = build(settings["hardware"]).resolve()
        self.hardware.configure()
        torch.manual_seed(0)
        pixels = torch.randint(256, (2 * batch, *shape), dtype=torch.uint8)
        size = len(pixels)
        self.images = Images.of(torch.arange(size), pixels, torch.zeros(size).long())
        mean, std = (0.5,) * shape[0], (0.3,) * shape[0]
        data = Data("random", shape, mean, std, ("a", "b"), size, "", {})
        encoder = build(settings["encoder"], data=data)
        self.method: Method = build(settings["method"], encoder=encoder, data=data)
        self.hardware.move(self.method)

    def ours(self, steps: int) -> Callable[[], None]:
        """A function that trains for so many steps."""
        return self._steps(copy.deepcopy(self.method), steps)

    def ready(self, steps: int) -> Callable[[], None]:
        """The same on views that are made beforehand."""
        method = copy.deepcopy(self.method)
        x = self.hardware.pixels(self.images.image[: self.batch])
        for each in ("augment", "augment_"):
            if hasattr(method, each):
                setattr(method, each, Ready(getattr(method, each), x))
        return self._steps(method, steps)

    def lightly(self, steps: int, workers: int) -> tuple[Callable[[], None], Around]:
        """The same with lightly, and what starts and stops its worker processes."""
        encoder = copy.deepcopy(self.method.encoder)
        theirs = Lightly(self.name, encoder, self.images, self.settings, self.hardware, self.batch)

        @contextmanager
        def loading() -> Iterator[None]:
            with theirs.loading(workers):
                for _ in range(2 * workers + 1):  # what was made ahead, off the clock
                    theirs.step()
                yield

        def run() -> None:
            for _ in range(steps):
                theirs.step()

        return run, loading

    def _steps(self, method: Method, steps: int) -> Callable[[], None]:
        optimizers = [build(self.settings["optimizer"], module=method)]
        training = Training(epochs=10**6, batch=self.batch)
        loop = fit(method, self.images, optimizers, training, self.hardware, 0)

        def run() -> None:
            for _ in range(steps):
                next(loop)

        return run


def measure(rounds: int = 5) -> Iterator[Row]:
    """Of each method and size: a step that makes its views against ready ones, and lightly's.

    Ours computes on one core. lightly's loader has as many processes as are best for it, each of
    which is a core more, up to two cores.
    """
    keep_memory()
    for shape, size in CASES:
        steps = 2 if shape[1] <= 32 else 1
        workers = best(Contest(METHODS[0], shape), steps)
        for name in METHODS:
            contest, case = Contest(name, shape), f"{name}, {size}"
            ours, ready = contest.ours(steps), contest.ready(steps)
            spent = interleaved({"ours": ours, "ready": ready}, 2 * rounds + 1)
            rates = [BATCH * steps / spent[each] for each in ("ours", "ready")]
            yield Row(case, "the same on ready views", *rates, "images/s", 0.97)
            theirs, around = contest.lightly(steps, workers)
            spent = interleaved({"ours": ours, "theirs": theirs}, rounds, WALL, {"theirs": around})
            rates = [BATCH * steps / spent[each] for each in ("ours", "theirs")]
            against = f"lightly, {workers} worker processes"
            rates[1] /= min(1 + workers, CORES)
            yield Row(case, against, *rates, "images/s", 1.6)


def best(contest: Contest, steps: int) -> int:
    """With how many worker processes lightly trains on most images a second and core."""
    functions, around = {}, {}
    for workers in range(CORES + 1):
        functions[str(workers)], around[str(workers)] = contest.lightly(steps, workers)
    spent = interleaved(functions, 2, WALL, around)
    return min(range(CORES + 1), key=lambda w: spent[str(w)] * min(1 + w, CORES))
