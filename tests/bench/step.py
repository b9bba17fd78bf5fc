"""Images per second of a SimCLR step, against the same step on views that are ready.

python tests/bench/step.py
"""

from pathlib import Path

import torch
from timing import interleaved

from unlabel import compose
from unlabel.hardware import Hardware, keep_memory
from unlabel.images import Data, Images
from unlabel.settings import build
from unlabel.training import Training, fit

PARAMS = Path(__file__).parents[2] / "params"
BATCH, STEPS = 256, 2


class Ready(torch.nn.Module):
    """Gives back views made beforehand, in turn, where an augmentation would make them."""

    def __init__(self, augment: torch.nn.Module, x: torch.Tensor):
        super().__init__()
        self.views, self.turn = [augment(x) for _ in range(4)], 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.turn += 1
        return self.views[self.turn % len(self.views)]


def stepper(shape: tuple[int, int, int], encoder: str, precision: str, ready: bool):
    """A function that trains SimCLR for some steps."""
    variant = f"encoder={encoder},hardware.precision={precision}"
    settings = compose.settings(PARAMS, "quick", "fashion_mnist", "simclr", variant)
    hardware: Hardware = build(settings["hardware"])
    n = BATCH * STEPS
    torch.manual_seed(0)
    images = Images.of(
        torch.arange(n), torch.randint(256, (n, *shape), dtype=torch.uint8), torch.zeros(n).long()
    )
    data = Data("random", shape, (0.5,) * shape[0], (0.3,) * shape[0], ("a", "b"), n, "", {})
    method = build(settings["method"], encoder=build(settings["encoder"], data=data), data=data)
    hardware.move(method)
    if ready:
        method.augment = Ready(method.augment, hardware.pixels(images.image[:BATCH]))
    optimizers = [build(settings["optimizer"], module=method)]
    training = Training(epochs=1, batch=BATCH)
    return lambda: list(fit(method, images, optimizers, training, hardware, 0))


def main() -> None:
    keep_memory()
    for shape, encoder, precision in (
        ((1, 28, 28), "resnet_mini", "float32"),
        ((1, 28, 28), "resnet_mini", "auto"),
        ((3, 32, 32), "resnet_mini", "float32"),
        ((3, 32, 32), "resnet_mini", "auto"),
        ((3, 32, 32), "resnet18", "auto"),
    ):
        seconds = interleaved(
            {
                name: stepper(shape, encoder, precision, name == "ready")
                for name in ("ours", "ready")
            },
            rounds=21 if encoder == "resnet_mini" else 1,
        )
        ratio = seconds["ready"] / seconds["ours"]
        rate = BATCH * STEPS / seconds["ours"]
        what = f"{encoder}, {shape}, {precision}: {rate:,.0f} images/s"
        print(f"{what}, {ratio:.3f} of the step on ready views")


if __name__ == "__main__":
    main()
