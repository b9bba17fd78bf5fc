"""What processes train together: `torchrun ... support/together.py FOLDER` trains each case."""

import sys
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from support.models import TRAINED, about, assembled, composed
from unlabel import weights
from unlabel.data.images import Images
from unlabel.errors import UserError
from unlabel.hardware import Hardware
from unlabel.nn import distributed
from unlabel.nn.batch_norm import synchronise
from unlabel.training import launch
from unlabel.training.loop import Training, fit
from unlabel.training.optimizer import sgd


class Case(NamedTuple):
    """A recipe, and what of it is changed."""

    method: str
    variant: str = "base"
    training: Training = Training(epochs=1, batch=16)

    @property
    def name(self) -> str:
        """A file's name."""
        parts = "" if self.training == Training(epochs=1, batch=16) else ",in parts"
        return f"{self.method},{self.variant}{parts}"


PARTS = Training(epochs=1, batch=16, accumulate=2, chunk=3, clip=0.5)
CASES = [Case(name) for name in TRAINED] + [
    Case("byol", "method.stop_gradient=false"),
    Case("denoising", "method.corruption=gaussian"),
    Case("denoising", "method.corruption=salt_and_pepper"),
    Case("dino", "method.crops=2"),
    # in the third epoch, one process alone has images that no epoch had
    Case("distillation", "method.cached=true", Training(epochs=3, batch=20)),
    Case("dino", "encoder.norm=none+method.norm=false", PARTS),
    Case("inpainting", "method.adversarial=0.1"),
    Case("instance_discrimination", "method.negatives=8+method.proximal=30.0"),
    Case("lejepa", "method.crops=2"),
    Case("mae", training=PARTS),
    Case("mmcr", "method.compression=0.5"),
    Case("moco", "method.queue=0"),
    Case("moco", "method.splits=1"),
    Case("moco", training=Training(epochs=1, batch=32, accumulate=2)),
    Case("simclr", "encoder.norm=none+method.norm=none", PARTS),
    Case("simclr", "method.negatives=false"),
    Case("simmim", training=PARTS),
    Case("supervised", "method.views=2"),
    Case("swav", "method.crops=2"),
    Case("swav", "method.queue=12"),
]


def images() -> Images:
    """32 images of noise, of which every third has no label."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (32, 1, 16, 16), dtype=torch.uint8, generator=generator)
    label = torch.where(torch.arange(32) % 3 == 0, -1, torch.arange(32) % 4)
    return Images.of(torch.arange(32), pixels, label)


class Precise(Hardware):
    """In float64: no activation comes to be on the other side of zero by rounding alone."""

    def pixels(self, image: Tensor) -> Tensor:
        return image.double() / 255


def train(case: Case) -> dict[str, Tensor]:
    """All that comes of a case, trained on whole batches or on this process's rows."""
    hardware, data = Precise(device="cpu", precision="float32"), images()
    hardware.configure()
    method = hardware.move(assembled(composed(case.method, case.variant), about(data)))
    synchronise(method)
    optimizers = [sgd(player, lr=0.005) for player in method.players()]
    came = {f"before {key}": value.clone() for key, value in weights.of(method).items()}
    for step, result in enumerate(fit(method, data, optimizers, case.training, hardware, 0)):
        came |= {f"step {step} loss {n}": loss for n, loss in enumerate(result.losses)}
        came |= {f"step {step} {name}": each for name, each in result.measures.items()}
    return came | weights.of(method)


def main() -> None:
    """Write what comes of each case in either process, and in one process alone."""
    folder = Path(sys.argv[1])
    torch.set_default_dtype(torch.float64)
    to_float32 = Tensor.float
    Tensor.float = lambda x: x if x.dtype == torch.float64 else to_float32(x)
    with launch.member(2):
        rank = distributed.rank()
        for case in CASES:
            weights.write(folder / f"{case.name}.{rank}", train(case), {})
        try:
            train(Case("moco", "method.splits=3"))
        except UserError as error:
            (folder / f"splits.{rank}").write_text(str(error))
    for case in CASES[rank::2]:
        weights.write(folder / f"{case.name}.alone", train(case), {})


if __name__ == "__main__":
    main()
