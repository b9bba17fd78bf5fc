"""The whole network, trained on with few labels or all of them."""

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from unlabel.augment import Augment
from unlabel.data.images import UNLABELLED, Data, Images
from unlabel.data.labels import stratified
from unlabel.data.loader import batches, load
from unlabel.encoder import Encoder
from unlabel.errors import UserError
from unlabel.hardware import Hardware
from unlabel.method.supervised import Supervised
from unlabel.metric import Metric, accuracies
from unlabel.nn.folding import fold_batch_norm
from unlabel.probe import percent
from unlabel.probe._axes import axes
from unlabel.probe._regression import choose
from unlabel.progress import Progress
from unlabel.ranges import Count, Natural, NonNegative, Positive, PositiveShare
from unlabel.seeds import derive
from unlabel.training.loop import Training, fit
from unlabel.training.optimizer import adamw

BLOCK = 1000  # images in a batch of features
BEGIN = 4_000  # the most images for fitting the linear classifier that training starts from
L2 = (1e-1, 1e-2, 1e-3)  # weight decays of that classifier; the validation split chooses


@dataclass(frozen=True)
class Steps(Training):
    """A training with a fixed number of steps, whatever the number of images."""

    number: Natural = 0

    def steps(self, images: int) -> int:
        return self.number


class Finetune:
    """Accuracy of encoder and linear classifier, trained together on a fraction of the labels.

    Training starts from a linear classifier of the frozen features (arXiv:2202.10054, section 4),
    since a random one would spoil the features and takes hundreds of steps to learn. Before that,
    batch norm takes its statistics from these images, since an untrained encoder has none. The seed
    alone chooses the labels, so all methods are compared on the same ones. Each fraction has its
    own number of steps with a cosine schedule. The validation split chooses between several
    learning rates.
    """

    def __init__(
        self,
        augment: Augment,
        fractions: Sequence[PositiveShare] = (0.01, 0.1, 1.0),
        steps: Sequence[Natural] = (60, 100, 150),
        batch: Count = 128,
        lr: Sequence[Positive] = (4e-3,),
        weight_decay: NonNegative = 1e-4,
        warmup: Natural = 10,  # steps, but at most a fifth of all
    ):
        if len(fractions) != len(steps):
            raise UserError(
                f"finetune.steps has {len(steps)} numbers, but finetune.fractions has "
                f"{len(fractions)}; give a number of steps for each fraction"
            )
        self.augment, self.fractions, self.steps = augment, fractions, steps
        self.batch, self.lr, self.weight_decay, self.warmup = batch, lr, weight_decay, warmup

    def metrics(self) -> Iterable[Metric]:
        """Every metric that `measure` returns, with what it means."""
        for share in map(percent, self.fractions):
            title = f"fine-tuned accuracy, {share} % of labels"
            yield from accuracies(f"finetune_{share}", title, labels=True)

    def measure(
        self,
        encoder: Encoder,
        data: Data,
        splits: Sequence[Images],
        hardware: Hardware,
        seed: int,
    ) -> dict[str, float]:
        """For 1 %: `finetune_1`, `validation_finetune_1`. Splits: train, validation, test."""
        train, validation, test = splits
        progress = Progress("finetune", self.batch * len(self.lr) * sum(self.steps))
        measures = {}
        for fraction, steps in zip(self.fractions, self.steps, strict=True):
            few = train.take(stratified(train.label, fraction, derive(seed, "draw", 0)))
            start = Supervised(copy.deepcopy(encoder), data, self.augment)
            hardware.move(start)
            begin(start, few, validation, hardware, seed)
            tuned = []
            for lr in self.lr:
                model = copy.deepcopy(start)
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
        batch = min(self.batch, len(images.id))
        warmup = min(self.warmup, steps // 5) / (len(images.id) // batch)  # in epochs
        training = Steps(epochs=0, batch=batch, warmup=warmup, number=steps)
        optimizer = adamw(model, lr, weight_decay=self.weight_decay)
        for _ in fit(model, hardware.hold(images), [optimizer], training, hardware, seed):
            progress.advance(self.batch)


@torch.no_grad()
def begin(
    model: Supervised, images: Images, validation: Images, hardware: Hardware, seed: int
) -> None:
    """Give `model` the batch norm statistics of `images`, and their linear classifier."""
    if len(images.id) > BEGIN:
        images = images.take(stratified(images.label, BEGIN / len(images.id), seed))
    validation = validation.take(validation.label != UNLABELLED)
    torch.manual_seed(derive(seed, "statistics"))
    # Parts of equal size: batch norm cannot do with a last part of one image.
    parts = torch.arange(len(images.id)).tensor_split(math.ceil(len(images.id) / BLOCK))
    loaded = load(images, parts, hardware.workers)
    with hardware.autocast():
        x = (model.augment(hardware.pixels(part.image)) for _, part in loaded)
        update_bn(x, model.encoder)
    # On the CPU, as a GPU in training multiplies too coarsely for L-BFGS.
    h, h_validation = (features(model, each, hardware).cpu() for each in (images, validation))
    turned, classes = axes(h), model.classify.out_features
    fitted, chosen = (turned(h), images.label), (turned(h_validation), validation.label)
    best = choose(*fitted, *chosen, classes, L2, tolerance=1e-5)
    weight, bias = turned.undo(best.weight)
    model.classify.weight.copy_(weight)
    model.classify.bias.copy_(bias)


@torch.no_grad()
def features(model: Supervised, images: Images, hardware: Hardware) -> Tensor:
    """The encoder's features of N images, in float32 (N, D)."""
    model.eval()
    encoder = hardware.move(fold_batch_norm(model.encoder))
    with hardware.autocast():
        parts = batches(images, BLOCK, hardware.workers)
        h = [encoder(hardware.pixels(part.image)) for part in parts]
    return torch.cat(h).float()


@torch.no_grad()
def accuracy(model: Supervised, images: Images, hardware: Hardware) -> float:
    """The share of labelled images that `model` classifies correctly."""
    images = images.take(images.label != UNLABELLED)
    guess = model.classify(features(model, images, hardware)).argmax(1)
    return (guess.cpu() == images.label).double().mean().item()
