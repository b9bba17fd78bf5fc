"""What a probe gets that runs the encoder itself, on images that are not in the features' file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from unlabel.data.images import Images
from unlabel.data.masks import Masks
from unlabel.encoder import Encoder
from unlabel.features.split import Features
from unlabel.hardware import Hardware
from unlabel.probe import Probe


@dataclass(frozen=True)
class Trained:
    """An encoder on its device, for evaluation, and the dataset that it was trained on."""

    encoder: Encoder
    splits: Sequence[Images]  # train, validation, test
    features: Features  # of these images, on the device
    hardware: Hardware
    masks: Masks | None = None  # of these images
    others: Mapping[str, Images] = field(default_factory=dict)  # test images of other datasets

    @torch.no_grad()
    def embed(self, x: Tensor) -> Tensor:
        """Features of images in [0, 1], in float32: (B, C, H, W) -> (B, D)."""
        with self.hardware.autocast():
            h = self.encoder(x)
        return h.float()


class EncoderProbe(Probe):
    """A probe that runs the encoder."""

    def measure_encoder(self, trained: Trained, seed: int) -> dict[str, float]:
        """Names to numbers. What is random in it depends on the seed alone."""
        raise NotImplementedError
