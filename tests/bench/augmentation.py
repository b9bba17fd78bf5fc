"""Views per second on one core: ours, torchvision on PIL images and on tensors, kornia."""

import warnings
from collections.abc import Callable, Iterator

import kornia.augmentation as K
import torch
import torchvision.transforms as pil
import torchvision.transforms.v2 as v2
from row import Row
from timing import interleaved
from torchvision.transforms.functional import to_pil_image

from unlabel.augment import Augment, Blur, Crop, Flip, Grey, Jitter
from unlabel.cli import keep_memory

TITLE = "Augmentation: crop, flip, jitter and grey on one core"
BATCH = 256
PER_IMAGE = 32  # of the batch, for the pipelines that take one image at a time
JITTER = (0.4, 0.4, 0.4, 0.1)
PIL, TENSORS, KORNIA = "torchvision, PIL images", "torchvision v2, tensors", "kornia, batched"
TARGETS = {PIL: 25, TENSORS: 25, KORNIA: 7}


def pipelines(channels: int, size: int, blur: bool) -> dict[str, tuple[int, Callable[[], object]]]:
    """Crop, flip, jitter and grey, and blur where asked for, of each library on its own input.

    How many views each makes at a time, and the function that does.
    """
    pixels = torch.randint(256, (BATCH, channels, size, size), dtype=torch.uint8)
    x = pixels / 255
    images = [to_pil_image(each) for each in pixels[:PER_IMAGE]]
    extra = {"blur": Blur(p=0.5)} if blur else {}
    ours = Augment(crop=Crop((0.2, 1.0)), flip=Flip(), jitter=Jitter(*JITTER), grey=Grey(), **extra)

    def stack(t, *last):
        parts = [
            t.RandomResizedCrop(size, (0.2, 1.0)),
            t.RandomHorizontalFlip(),
            t.RandomApply([t.ColorJitter(*JITTER)], p=0.8),
            t.RandomGrayscale(0.2),
        ]
        blurs = [t.RandomApply([t.GaussianBlur(3, (0.1, 2.0))], p=0.5)] if blur else []
        return t.Compose([*parts, *blurs, *last])

    on_pil, on_tensors = stack(pil, pil.ToTensor()), stack(v2)
    blurs = [K.RandomGaussianBlur((3, 3), (0.1, 2.0), p=0.5)] if blur else []
    batched = K.AugmentationSequential(
        K.RandomResizedCrop((size, size), scale=(0.2, 1.0)),
        K.RandomHorizontalFlip(),
        K.ColorJitter(*JITTER, p=0.8),
        K.RandomGrayscale(p=0.2),
        *blurs,
    )
    colour = x if channels == 3 else x.expand(-1, 3, -1, -1)  # kornia knows no grey jitter
    return {
        "unlabel": (BATCH, lambda: ours(x)),
        PIL: (PER_IMAGE, lambda: [on_pil(image) for image in images]),
        TENSORS: (PER_IMAGE, lambda: [on_tensors(each) for each in x[:PER_IMAGE]]),
        KORNIA: (BATCH, lambda: batched(colour)),
    }


def measure(rounds: int = 41) -> Iterator[Row]:
    """32x32 colour and 28x28 grey, without and with blur; only what has no blur has a target."""
    warnings.simplefilter("ignore")  # kornia's
    keep_memory()
    torch.set_num_threads(1)
    for channels, size, what in ((3, 32, "32×32 colour"), (1, 28, "28×28 grey")):
        for blur in (False, True):
            contestants = pipelines(channels, size, blur)
            seconds = interleaved({name: run for name, (_, run) in contestants.items()}, rounds)
            rates = {name: n / seconds[name] for name, (n, _) in contestants.items()}
            for name, target in TARGETS.items():
                case = f"{what}, with blur" if blur else what
                goal = None if blur else target
                yield Row(case, name, rates["unlabel"], rates[name], "views/s", goal)
