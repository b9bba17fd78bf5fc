"""Handwritten digits that come with scikit-learn: real images without a download."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch

from unlabel.data.images import Images
from unlabel.dataset import Dataset, Raw, hold_out
from unlabel.errors import UserError
from unlabel.ranges import Count

TEST = 0.2  # of each class


@dataclass(frozen=True, kw_only=True)
class Digits(Dataset):
    """1,797 digits of 8 x 8 pixels, each pixel repeated `scale` times both ways: (1, 16, 16).

    The test set of Optical Recognition of Handwritten Digits (UCI, 1998); a fifth of it is our test
    set. Raises `UserError` unless `scale` is positive.
    """

    scale: Count = 2  # 8 x 8 pixels are too few for some encoders

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale < 1:
            raise UserError(f"dataset.scale is {self.scale}, but must be 1 or more")

    def image_size(self) -> tuple[int, int]:
        return (8 * self.scale, 8 * self.scale)

    def load(self, raw: Path) -> Raw:
        """All images; `raw` is not used."""
        from sklearn.datasets import load_digits  # costs a second

        digits = load_digits()
        image = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8)
        large = image.repeat_interleave(self.scale, 1).repeat_interleave(self.scale, 2)
        label = torch.from_numpy(digits.target).long()
        every = Images.of(torch.arange(len(label)), large.unsqueeze(1), label)
        # Fixed, so that no setting changes the test images.
        train, test = hold_out(every, TEST, "digits", "test")
        return Raw(
            train,
            test,
            classes=tuple(map(str, range(10))),
            source="scikit-learn's digits (UCI, Optical Recognition of Handwritten Digits)",
            sha256={
                "digits": sha256(image.numpy().tobytes() + label.numpy().tobytes()).hexdigest()
            },
        )
