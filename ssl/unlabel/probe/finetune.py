"""The whole network, trained on with few labels or all of them."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from unlabel.augment import Augment
from unlabel.encoder import Encoder
from unlabel.errors import UserError
from unlabel.hardware import Hardware
from unlabel.images import UNLABELLED, Data, Images
from unlabel.method.supervised import Supervised
from unlabel.optimizer import adamw
from unlabel.probe import percent, stratified
from unlabel.progress import Progress
from unlabel.seeds import derive
from unlabel.training import Training, fit

EVALUATED = 1000  # images at a time


@dataclass(frozen=True)
class Steps(Training):
    """A training of so many steps, however many images there are."""

    number: int = 0

    def steps(self, images: int) -> int:
        return self.number


class Finetune:
    """Accuracy of the encoder and a linear classifier, trained together on a fraction of the labels.

    The fractions are those of `LowShot`'s first draw. Each is trained for its own number of steps
    with a cosine schedule, once for each learning rate; which of these counts is chosen on the
    validation split.
    """

    def __init__(
        self,
        augment: Augment,
        fractions: Sequence[float] = (0.01, 0.1, 1.0),
        steps: Sequence[int] = (100, 150, 200),
        batch: int = 128,
        lr: Sequence[float] = (1e-3,),
        weight_decay: float = 1e-4,
        warmup: int = 10,
    ):
        if len(fractions) != len(steps):
            raise UserError(
                f"finetune.steps has {len(steps)} numbers, but finetune.fractions has "
                f"{len(fractions)}; give a number of steps for each fraction"
            )
        self.augment, self.fractions, self.steps = augment, fractions, steps
        self.batch, self.lr, self.weight_decay, self.warmup = batch, lr, weight_decay, warmup

    def measure(
        self,
        encoder: Encoder,
        data: Data,
        splits: Sequence[Images],
        hardware: Hardware,
        seed: int,
    ) -> dict[str, float]:
        """For 1 %: `finetune_1` and `validation_finetune_1`. The splits are train, validation, test."""
        train, validation, test = splits
        rounds = [self.batch * steps * len(self.lr) for steps in self.steps]
        progress = Progress("finetune", sum(rounds))
        measures = {}
        for fraction, steps in zip(self.fractions, self.steps, strict=True):
            few = train.take(stratified(train.label, fraction, derive(seed, "draw", 0)))
            tuned = []
            for lr in self.lr:
                model = Supervised(copy.deepcopy(encoder), data, self.augment)
                self._train(model, few, steps, lr, hardware, seed, progress)
                tuned.append((accuracy(model, validation, hardware), model))
            best, model = max(tuned, key=lambda each: each[0])
            measures[f"validation_finetune_{percent(fraction)}"] = best
            measures[f"finetune_{percent(fraction)}"] = accuracy(model, test, hardware)
        progress.close()
        return measures

    def _train(
        self,
        model: Supervised,
        images: Images,
        steps: int,
        lr: float,
        hardware: Hardware,
        seed: int,
        progress: Progress,
    ) -> None:
        torch.manual_seed(derive(seed, "classifier"))
        model.classify.reset_parameters()
        hardware.move(model)
        batch = min(self.batch, len(images.id))
        per_epoch = len(images.id) // batch
        training = Steps(epochs=0, batch=batch, warmup=self.warmup / per_epoch, number=steps)
        optimizer = adamw(model, lr, weight_decay=self.weight_decay)
        for _ in fit(model, hardware.hold(images), [optimizer], training, hardware, seed):
            progress.advance(self.batch)


@torch.inference_mode()
def accuracy(model: Supervised, images: Images, hardware: Hardware) -> float:
    """The share of labelled images that `model` classifies right."""
    model.eval()
    right = 0
    for x, y in zip(images.image.split(EVALUATED), images.label.split(EVALUATED), strict=True):
        with hardware.autocast():
            guess = model.classify(model.encoder(hardware.pixels(x))).argmax(1)
        right += int((guess.cpu() == y).sum())
    return right / int((images.label != UNLABELLED).sum())
