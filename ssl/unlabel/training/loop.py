"""The training loop."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from unlabel.data.images import Images
from unlabel.data.loader import load
from unlabel.encoder import chunked
from unlabel.errors import UserError
from unlabel.hardware import Hardware
from unlabel.method import Batch, Method
from unlabel.nn.distributed import average, average_gradients, local_rows
from unlabel.ranges import Count, NonNegative, Positive, PositiveShare, Share
from unlabel.seeds import derive, generator


@dataclass(frozen=True)
class Training:
    """How long and on what to train."""

    epochs: Count
    batch: Count  # images in one step; a method makes one or more views of each
    warmup: NonNegative = 0.0  # epochs in which the learning rate rises to its full value
    images: Count | None = None  # train on this many of the images; null is all
    accumulate: Count = 1  # the number of parts that a step takes its batch in, each with its loss
    chunk: Count | None = None  # the encoder sees this many images at a time; null is all
    processes: Count = 1  # processes that share each batch, each on its own GPU
    nodes: Count = 1  # machines that share each batch, each with so many processes
    clip: Positive | None = None  # the largest norm that a gradient may have
    labels: PositiveShare = 1.0  # the share of each class's images that keep their label
    label_noise: Share = 0.0  # the share of these labels that are replaced by a wrong class

    def fitted(self, images: int) -> "Training":
        """The same with a batch of at most so many images, divided as before."""
        parts = self.accumulate * self.processes * self.nodes
        if images >= self.batch or images < parts:
            return self
        return replace(self, batch=images // parts * parts)

    def steps(self, images: int) -> int:
        """The number of steps.

        Raises `UserError` if a batch is too large or does not divide, or the warm-up never ends.
        """
        if self.batch > images:
            raise UserError(
                f"training.batch is {self.batch}, but there are only {images} images to train on; "
                "set it lower, or train on more of them"
            )
        if 0 < self.epochs <= self.warmup:
            raise UserError(
                f"training.warmup is {self.warmup}, but there are only {self.epochs} epochs: the "
                "learning rate would never fall; set training.warmup lower"
            )
        if self.batch % (self.accumulate * self.processes * self.nodes):
            raise UserError(
                f"training.batch ({self.batch}) does not divide into training.accumulate "
                f"({self.accumulate}) equal parts with an equal share for each of "
                f"training.processes ({self.processes}) on each of training.nodes ({self.nodes}); "
                "choose numbers that divide"
            )
        return self.epochs * (images // self.batch)


class Step(NamedTuple):
    """The outcome of one training step."""

    losses: list[Tensor]
    measures: Mapping[str, Tensor]  # none in a step that is not logged
    rate: float  # the learning rate, as a share of its full value


def schedule(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up over `warmup` steps, then half a cosine from 1 to 0 (arXiv:1608.03983)."""
    if step < warmup:
        return min(1.0, (step + 1) / warmup)  # a fraction of a step would pass the full rate
    return (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2


def fit(
    method: Method,
    images: Images,
    optimizers: Sequence[Optimizer],
    training: Training,
    hardware: Hardware,
    seed: int,
    start: int = 0,
    logged: Callable[[int], bool] = lambda number: True,
) -> Iterator[Step]:
    """Train `method` on `images`, one optimizer per player, from step `start`; yield each step.

    The random draws of a step depend only on the seed and the step. An epoch leaves out the images
    that do not fill a last batch. `logged` says which steps, counted from 1, have measures. If
    several processes train together, each takes its own rows of a batch, and all yield the same.
    """
    per_epoch = len(images.id) // training.batch
    steps = training.steps(len(images.id))
    parts = _parts(images, training, seed, range(start, steps))
    loaded = load(images, parts, hardware.workers, pinned=hardware.copies(images))
    method.train()
    with chunked(method, training.chunk):
        for step in range(start, steps):
            rate = schedule(step, steps, training.warmup * per_epoch)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = optimizer.defaults["lr"] * rate
            torch.manual_seed(derive(seed, "step", step))
            batches = [
                _batch(part, index, hardware, step / steps)
                for index, part in islice(loaded, training.accumulate)
            ]
            method.logging = logged(step + 1)
            losses = update(method, batches, optimizers, hardware, training.clip)
            measures = method.measures if method.logging else {}
            averaged = {name: average(value) for name, value in measures.items()}
            yield Step([average(loss) for loss in losses], averaged, rate)


def _parts(images: Images, training: Training, seed: int, steps: range) -> Iterator[Tensor]:
    """The indices (b,) of this process's rows, for each part of each step's batch.

    They are where the images are: a GPU waits for one copy an epoch, and for none in a step.
    """
    size = len(images.id)
    per_epoch = size // training.batch
    for step in steps:
        epoch, k = divmod(step, per_epoch)
        if k == 0 or step == steps.start:
            order = torch.randperm(size, generator=generator(seed, "shuffle", epoch))
            order = order.to(images.id.device)
        index = order[k * training.batch : (k + 1) * training.batch]
        yield from map(local_rows, index.chunk(training.accumulate))


def _batch(part: Images, index: Tensor, hardware: Hardware, t: float) -> Batch:
    label, index = part.label.to(hardware.device), index.to(hardware.device)
    return Batch(hardware.pixels(part.image), label, index, t)


def update(
    method: Method,
    batches: Sequence[Batch],
    optimizers: Sequence[Optimizer],
    hardware: Hardware,
    clip: float | None = None,
) -> list[Tensor]:
    """One step: each loss that the method yields, summed over the parts, updates its player."""
    turns = [method.step(batch._replace(share=1 / len(batches))) for batch in batches]
    losses = []
    for player, optimizer in zip(method.players(), optimizers, strict=True):
        optimizer.zero_grad()
        total = torch.zeros((), device=hardware.device)
        for turn in turns:
            with hardware.autocast():
                loss = next(turn) / len(turns)
            loss.backward()
            total += loss.detach()
        average_gradients(player)
        if clip is not None:
            nn.utils.clip_grad_norm_(player.parameters(), clip)
        optimizer.step()
        losses.append(total)
    for turn in turns:
        with hardware.autocast():
            if next(turn, None) is not None:
                raise TypeError(f"{type(method).__name__}.step yields more losses than players")
    return losses
