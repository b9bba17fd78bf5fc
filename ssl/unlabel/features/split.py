"""Features of a dataset's three splits, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from unlabel.data.images import UNLABELLED
from unlabel.seeds import generator

SPLITS = ("train", "validation", "test")
ALL = "all"  # the name of the views that all transforms make together


class Split(NamedTuple):
    """Features of N images."""

    id: Tensor  # int64 (N,)
    label: Tensor  # int64 (N,), -1 if there is none
    factor: Tensor  # int64 (N, F), the columns that `Features.factors` names; -1 as above
    h: Tensor  # float32 (N, D), the encoder's output
    z: Tensor | None = None  # float32 (N, d), the projector's output, if there is a projector

    def take(self, index: Tensor | slice) -> "Split":
        """The features at `index` (n,), in that slice, or where that mask (N,) is true."""
        return Split(*(None if each is None else each[index] for each in self))  # type: ignore[arg-type]

    def labelled_rows(self) -> Tensor | None:
        """Which images have a label (n,); None: all."""
        known = self.label != UNLABELLED
        return None if known.all() else known.nonzero().flatten()

    def labelled(self) -> "Split":
        """The features of the images that have a label."""
        rows = self.labelled_rows()
        return self if rows is None else self.take(rows)

    def some(self, images: int, seed: int, purpose: str, rows: Tensor | None = None) -> "Split":
        """`images` of the images, or of these `rows`, chosen by seed and purpose.

        All of them if there are no more.
        """
        number = len(self.id) if rows is None else len(rows)
        if images >= number:
            return self if rows is None else self.take(rows)
        order = torch.randperm(number, generator=generator(seed, purpose))[:images]
        order = order.to(self.id.device)
        return self.take(order if rows is None else rows[order])

    def to(self, device: str) -> "Split":
        """The same on `device`."""
        return Split(*(None if each is None else each.to(device) for each in self))  # type: ignore[arg-type]


class SomeZ(NamedTuple):
    """The projector's output of some images of a split."""

    rows: Tensor  # int64 (n,), which images these are
    z: Tensor  # float32 (n, d)


class Views(NamedTuple):
    """Features of two views of each of n images."""

    id: Tensor  # int64 (n,)
    h: Tensor  # float32 (n, D)
    h_: Tensor
    z: Tensor | None = None  # float32 (n, d), if there is a projector
    z_: Tensor | None = None

    def to(self, device: str) -> "Views":
        """The same on `device`."""
        return Views(*(None if each is None else each.to(device) for each in self))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Features:
    """An encoder's features of a dataset: all that a probe may measure."""

    train: Split
    validation: Split
    test: Split
    views: Mapping[str, Views]  # of validation images, by transform; "all" is all transforms
    classes: tuple[str, ...]
    factors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name -> its values
    labels: int | None = None  # how many training images have one, if `train` has not all of them
    some_z: SomeZ | None = None  # of training images, if `train` has no z for being too many

    @property
    def labelled(self) -> bool:
        """Do all splits have labels? `read` makes sure that all do, or none."""
        return all((s.label != UNLABELLED).any() for s in (self.train, self.validation, self.test))

    def projected(self) -> Split:
        """The training images whose z is known; all, if there is no projector."""
        if self.some_z is None:
            return self.train
        return self.train.take(self.some_z.rows)._replace(z=self.some_z.z)

    def to(self, device: str) -> "Features":
        """The same on `device`."""
        train, validation, test = (s.to(device) for s in (self.train, self.validation, self.test))
        views = {name: each.to(device) for name, each in self.views.items()}
        some_z = self.some_z and SomeZ(*(each.to(device) for each in self.some_z))
        there = replace(self, train=train, validation=validation, test=test)
        return replace(there, views=views, some_z=some_z)
