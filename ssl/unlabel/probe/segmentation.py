"""A linear classifier of each place of the feature maps: what is where in an image."""

from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.data.images import Images
from unlabel.data.loader import batches, load
from unlabel.data.masks import IGNORED
from unlabel.data.splits import random_subset
from unlabel.metric import Metric, accuracies
from unlabel.nn.resizing import interpolated
from unlabel.probe._trained import EncoderProbe, Trained
from unlabel.progress import Progress
from unlabel.ranges import Count, NonNegative, Positive
from unlabel.seeds import generator


class Segmentation(EncoderProbe):
    """Mean intersection over union, and pixel accuracy, of a linear classifier on frozen maps.

    As in DINOv2 (arXiv:2304.07193, section 7.4): the maps are normalised, a 1 x 1 convolution gives
    logits, and these are enlarged to the masks. Classifiers of several learning rates are trained
    side by side with AdamW; the validation split chooses one. Maps are computed anew in each epoch,
    so memory holds one batch.
    """

    labels = False
    masks = True

    def __init__(
        self,
        images: Count = 2000,
        epochs: Count = 10,
        batch: Count = 50,
        lr: Sequence[Positive] = (1e-2, 3e-3, 1e-3),
        weight_decay: NonNegative = 1e-4,
    ):
        self.images, self.epochs, self.batch = images, epochs, batch
        self.lr, self.weight_decay = lr, weight_decay

    def metrics(self) -> Iterable[Metric]:
        yield from accuracies("segmentation_miou", "segmentation, mean IoU")
        yield from accuracies("segmentation_accuracy", "segmentation, pixel accuracy")
        yield Metric("segmentation_lr", "learning rate of the segmentation's classifier")

    def measure_encoder(self, trained: Trained, seed: int) -> dict[str, float]:
        """`segmentation_miou`, `segmentation_accuracy`, with `validation_`, and the chosen `_lr`.

        Of each split it takes some `images`, the same for all methods and seeds.
        """
        assert trained.masks is not None
        train, validation, test = (random_subset(each, self.images) for each in trained.splits)
        number = len(trained.masks.classes)
        heads = self._train(trained, train, number, seed)
        found = [self._measure(trained, validation, head, number) for head in heads]
        best = max(range(len(heads)), key=lambda at: found[at][0])
        miou, accuracy = self._measure(trained, test, heads[best], number)
        return {
            "segmentation_miou": miou,
            "segmentation_accuracy": accuracy,
            "validation_segmentation_miou": found[best][0],
            "validation_segmentation_accuracy": found[best][1],
            "segmentation_lr": self.lr[best],
        }

    def _train(self, trained: Trained, images: Images, number: int, seed: int) -> list[nn.Module]:
        """A classifier for each learning rate."""
        norm = self._norm(trained, images)
        heads: list[nn.Module] = []
        groups = []
        for lr in self.lr:
            conv = nn.Conv2d(norm.num_features, number, 1).to(trained.hardware.device)
            nn.init.zeros_(conv.weight)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            heads.append(nn.Sequential(norm, conv))
            groups.append({"params": conv.parameters(), "lr": lr})
        optimizer = torch.optim.AdamW(groups, weight_decay=self.weight_decay)
        steps = self.epochs * -(-len(images.id) // self.batch)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        progress = Progress("segmentation", self.epochs * len(images.id))
        for epoch in range(self.epochs):
            order = torch.randperm(len(images.id), generator=generator(seed, "segmentation", epoch))
            for maps, mask in self._batches(trained, images, order):
                losses = [loss_of(h(maps), mask) for h in heads]
                optimizer.zero_grad()
                torch.stack(losses).sum().backward()
                optimizer.step()
                schedule.step()
                progress.advance(len(maps))
        progress.close()
        return heads

    def _norm(self, trained: Trained, images: Images) -> nn.BatchNorm2d:
        """Brings each channel of the maps of these images to mean 0 and deviation 1."""
        total = squares = torch.zeros(())
        count = 0
        for part in batches(images, self.batch, trained.hardware.workers):
            maps = maps_of(trained, part).double()
            total = total.to(maps) + maps.sum((0, 2, 3))
            squares = squares.to(maps) + maps.square().sum((0, 2, 3))
            count += maps[:, 0].numel()
        mean = total / count
        norm = nn.BatchNorm2d(len(mean), affine=False).to(trained.hardware.device).eval()
        norm.running_mean, norm.running_var = (
            mean.float(),
            (squares / count - mean**2).clamp(min=0).float(),
        )
        return norm

    def _batches(
        self, trained: Trained, images: Images, order: Tensor
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Maps (B, D, h, w) and masks (B, H, W) in an order."""
        assert trained.masks is not None
        for _, part in load(images, order.split(self.batch), trained.hardware.workers):
            mask = trained.masks.of(part.id).long().to(trained.hardware.device)
            yield maps_of(trained, part), mask.where(mask != IGNORED, -100)

    @torch.no_grad()
    def _measure(
        self, trained: Trained, images: Images, head: nn.Module, number: int
    ) -> tuple[float, float]:
        """Mean IoU and pixel accuracy."""
        table = torch.zeros(number, number, dtype=torch.int64)
        for maps, mask in self._batches(trained, images, torch.arange(len(images.id))):
            guess, known = enlarged(head(maps), mask).argmax(1), mask >= 0
            pairs = mask[known] * number + guess[known]
            table += torch.bincount(pairs, minlength=number**2).view(number, number).cpu()
        return scores(table)


def enlarged(logits: Tensor, mask: Tensor) -> Tensor:
    """Logits (B, K, h, w) at the size of masks (B, H, W): (B, K, H, W)."""
    return interpolated(logits, (mask.shape[1], mask.shape[2]), "bilinear")


def loss_of(logits: Tensor, mask: Tensor) -> Tensor:
    """The mean cross-entropy of all known pixels: (B, K, h, w), (B, H, W) -> ().

    The mean is taken here, as torch's own of maps has other bits each time on a GPU.
    """
    each = F.cross_entropy(enlarged(logits, mask), mask, reduction="none")  # 0 if it is unknown
    return each.sum() / (mask >= 0).sum().clamp(min=1)


@torch.no_grad()
def maps_of(trained: Trained, images: Images) -> Tensor:
    """The encoder's maps (B, D, h, w), in float32."""
    with trained.hardware.autocast():
        maps = trained.encoder.maps(trained.hardware.pixels(images.image))
    return maps.float()


def scores(table: Tensor) -> tuple[float, float]:
    """Mean IoU and accuracy by pixels of each true class (row) and guessed class: (K, K) -> (), ().

    A class counts if it is true of any pixel, or guessed for any.
    """
    right = table.diagonal().double()
    union = table.sum(0) + table.sum(1) - right
    there = union > 0
    miou = (right[there] / union[there]).mean().item() if there.any() else 0.0
    return miou, (right.sum() / table.sum().clamp(min=1)).item()
