"""Random image transforms on whole batches, on the images' device, with one draw per image.

All randomness is in `draw`. `apply` is a pure function of the images and the draw.

Consecutive transforms of one family are composed before they touch a pixel, so two families are
almost free. Crop, flip and blur act on rows and columns: together they are one matrix from the left
and one from the right. If there is only a crop, each output row or column is a weighted mean of two
(`unlabel.augment.resampling`). Brightness, contrast, saturation, hue and grey are linear in a
pixel's channels: together they are one small matrix. The two families commute, because the rows of
a resampling matrix sum to one (contrast uses the mean of the resampled image). Values are clamped
to [0, 1] once, after both.
"""

import math
from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor

from unlabel.augment.colour import LUMA, rgb, yiq
from unlabel.augment.resampling import Neighbours, dense, enlarge, gaussian, resize
from unlabel.errors import UserError
from unlabel.nn.draws import integers, uniform
from unlabel.ranges import Count, NonNegative, Positive, PositiveShare, Share

Rows = Tensor | Neighbours  # the same for columns; matrices (B, out, in)
Draw = Mapping[str, Tensor]
Size = tuple[int, int]  # height and width of images in pixels


class Transform:
    """One random transform."""

    def draw(self, x: Tensor) -> Tensor:
        """Random parameters, one row per image: (B, C, H, W) -> (B, n)."""
        raise NotImplementedError

    def size(self, before: Size) -> Size:
        """The size of images afterwards. Raises `UserError` if it cannot do with those before."""
        return before


class Resampling(Transform):
    """A linear transform of rows and columns: image -> rows @ image @ columnsᵀ."""

    def matrices(self, height: int, width: int, draw: Tensor) -> tuple[Rows, Rows]:
        """The matrices of a draw: rows (B, h, height) and columns (B, w, width)."""
        raise NotImplementedError

    def follow(
        self, rows: Rows | None, columns: Rows | None, size: tuple[int, int], draw: Tensor
    ) -> tuple[Rows | None, Rows]:
        """Compose the matrices of earlier transforms (None for the identity) with this one's.

        `size` is the (height, width) that the earlier transforms produce.
        """
        then = self.matrices(*size, draw)
        return _after(rows, then[0]), _after(columns, then[1])


def _after(first: Rows | None, then: Rows) -> Rows:
    return then if first is None else dense(then) @ dense(first)


class Colour(Transform):
    """An affine transform of each pixel's channels: pixel -> matrix @ pixel + offset."""

    def colour(self, mean: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        """Mean colour of each image (B, C, 1) -> matrix (B, C, C) and offset (B, C, 1)."""
        raise NotImplementedError


class Pointwise(Transform):
    """Any other transform, applied directly to the images."""

    def apply(self, x: Tensor, draw: Tensor) -> Tensor:
        """Transform images by their draws: (B, C, H, W), (B, n) -> (B, C, H, W)."""
        raise NotImplementedError


class Augment:
    """Named transforms, applied in order. A transform that is None is skipped."""

    def __init__(self, **transforms: Transform | None):
        self.transforms = {name: t for name, t in transforms.items() if t is not None}

    def draw(self, x: Tensor) -> dict[str, Tensor]:
        """Random parameters by the transform's name: (B, C, H, W) -> {name: (B, n)}."""
        return {name: transform.draw(x) for name, transform in self.transforms.items()}

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        """Transform images in [0, 1] by a draw: (B, C, H, W) -> (B, C, h, w) in [0, 1]."""
        pending: dict[str, Transform] = {}
        for name, transform in self.transforms.items():
            if isinstance(transform, Pointwise):
                x, pending = transform.apply(_composed(x, pending, draw), draw[name]), {}
            else:
                pending[name] = transform
        return _composed(x, pending, draw)

    def size(self, before: Size) -> Size:
        """The size of the views of images. Raises `UserError` if a transform cannot do with it."""
        for transform in self.transforms.values():
            before = transform.size(before)
        return before

    def fitting(self, before: Size) -> "Augment":
        """Those transforms alone that can do with images of this size."""

        def fits(transform: Transform) -> bool:
            try:
                return bool(transform.size(before))
            except UserError:
                return False

        return Augment(**{k: each for k, each in self.transforms.items() if fits(each)})

    def __call__(self, x: Tensor) -> Tensor:
        """A random view of each image: (B, C, H, W) -> (B, C, h, w)."""
        return self.apply(x, self.draw(x))

    def pair(self, x: Tensor) -> Tensor:
        """Two random views of each image: (B, C, H, W) -> (2B, C, h, w); i and i + B are a pair.

        For 256 small images, this takes a tenth less time than two separate calls.
        """
        first, second = self.draw(x), self.draw(x)
        both = {name: torch.cat([first[name], second[name]]) for name in first}
        return self.apply(x.repeat(2, 1, 1, 1), both)


def _composed(x: Tensor, transforms: Mapping[str, Transform], draw: Draw) -> Tensor:
    """Apply resampling and colour transforms, each family as one matrix product."""
    b, c = x.shape[:2]
    colours = {name: t for name, t in transforms.items() if isinstance(t, Colour)}
    resamplings = {name: t for name, t in transforms.items() if isinstance(t, Resampling)}
    rows: Rows | None = None
    columns: Rows | None = None
    for name, resampling in resamplings.items():
        size = _out(rows, x.shape[2]), _out(columns, x.shape[3])
        rows, columns = resampling.follow(rows, columns, size, draw[name])
    if rows is not None:
        x = rows.of(x) if isinstance(rows, Neighbours) else rows[:, None] @ x
    turned = isinstance(columns, Neighbours)
    if isinstance(columns, Neighbours):  # leave x transposed: colours act on each pixel alone
        x = columns.of(x.mT)
    elif columns is not None:  # one product for all channels: twice as fast as one per channel
        h, w = x.shape[2:]
        x = torch.bmm(x.reshape(b, -1, w), columns.mT).view(b, c, h, -1)
    if colours:
        mean = x.mean((2, 3)).unsqueeze(2)
        first, *others = colours
        matrix, offset = colours[first].colour(mean, draw[first])
        for name in others:
            m, o = colours[name].colour(torch.baddbmm(offset, matrix, mean), draw[name])
            matrix, offset = torch.bmm(m, matrix), torch.baddbmm(o, m, offset)
        x = torch.baddbmm(offset, matrix, x.reshape(b, c, -1)).view_as(x).clamp_(0, 1)
    return x.mT if turned else x


def _out(rows: Rows | None, size: int) -> int:
    """The number of output rows."""
    if rows is None:
        return size
    return rows.share.shape[1] if isinstance(rows, Neighbours) else rows.shape[1]


def _uniform(like: Tensor, low: float, high: float, *, n: int = 1) -> Tensor:
    """Uniform in [low, high): (B, n)."""
    return uniform(like, n, low=low, high=high)


def _chosen(like: Tensor, p: float) -> Tensor:
    """True with probability p: (B, 1)."""
    return uniform(like, 1) < p


class Crop(Resampling):
    """A random box, resized to `size` x `size` pixels (default: the image's size), antialiased.

    The box covers a share of the image's area in `scale` (uniform) and has an aspect ratio in
    `ratio` (log-uniform). A side longer than the image is cut to the image.
    """

    def __init__(
        self,
        scale: tuple[PositiveShare, PositiveShare] = (0.08, 1.0),
        ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3),
        size: Count | None = None,
    ):
        self.scale, self.ratio, self.side = tuple(scale), tuple(ratio), size

    def size(self, before: Size) -> Size:
        return (self.side, self.side) if self.side else before

    def draw(self, x: Tensor) -> Tensor:
        """Top, left, height and width as shares of the image: (B, 4)."""
        height, width = x.shape[2:]
        area = _uniform(x, self.scale[0], self.scale[1])
        low, high = (math.log(r * height / width) for r in self.ratio)
        root = (_uniform(x, low, high) / 2).exp()
        box = torch.cat([area.sqrt() / root, area.sqrt() * root], 1).clamp(max=1)
        return torch.cat([_uniform(x, 0, 1, n=2) * (1 - box), box], 1)

    def matrices(self, height: int, width: int, draw: Tensor) -> tuple[Rows, Rows]:
        top, left, tall, wide = draw.split(1, dim=1)
        h, w = self.size((height, width))
        rows = enlarge if h >= height > 1 else resize
        columns = enlarge if w >= width > 1 else resize
        return rows(height, h, top, tall), columns(width, w, left, wide)


class Flip(Resampling):
    """Horizontal flip with probability p."""

    def __init__(self, p: Share = 0.5):
        self.p = p

    def draw(self, x: Tensor) -> Tensor:
        return _chosen(x, self.p)

    def follow(
        self, rows: Rows | None, columns: Rows | None, size: tuple[int, int], draw: Tensor
    ) -> tuple[Rows | None, Rows]:
        # Reverses the columns: the same as a matrix product, but four times as fast.
        if isinstance(columns, Neighbours):
            return rows, columns.flipped(draw)
        columns = torch.eye(size[1], device=draw.device) if columns is None else columns
        return rows, torch.where(draw.unsqueeze(2), columns.flip(-2), columns)


class Blur(Resampling):
    """Gaussian blur with probability p, sigma in pixels. The kernel is renormalised at borders."""

    def __init__(self, p: Share = 0.5, sigma: tuple[NonNegative, NonNegative] = (0.1, 2.0)):
        self.p, self.sigma = p, tuple(sigma)

    def draw(self, x: Tensor) -> Tensor:
        """Sigma in pixels, 0 for an image that is not blurred: (B, 1)."""
        return _uniform(x, self.sigma[0], self.sigma[1]) * _chosen(x, self.p)

    def matrices(self, height: int, width: int, draw: Tensor) -> tuple[Rows, Rows]:
        return gaussian(height, draw), gaussian(width, draw)


class Jitter(Colour):
    """Colour jitter with probability p: brightness, contrast, saturation and hue, in this order.

    The first three are factors in [1 - strength, 1 + strength], as in torchvision. Hue rotates
    colours around the grey axis, by up to `hue` of a full turn and at constant luma. Images that
    have not three channels only change in brightness and contrast. There is one factor for all
    channels, and contrast is around each channel's own mean, as in SSL4EO-S12 (arXiv:2211.07044).
    """

    def __init__(
        self,
        brightness: NonNegative = 0.8,
        contrast: NonNegative = 0.8,
        saturation: NonNegative = 0.8,
        hue: Share = 0.2,
        p: Share = 0.8,
    ):
        self.strength = (brightness, contrast, saturation)
        self.hue, self.p = hue, p

    def draw(self, x: Tensor) -> Tensor:
        """Three factors and an angle in turns, (1, 1, 1, 0) for no change: (B, 4)."""
        factors = [_uniform(x, max(0, 1 - s), 1 + s) for s in self.strength]
        jitter = torch.cat([*factors, _uniform(x, -self.hue, self.hue)], 1)
        return torch.where(_chosen(x, self.p), jitter, _no_jitter(x.device))

    def colour(self, mean: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        brightness, contrast, saturation, turn = draw.unsqueeze(2).split(1, dim=1)  # (B, 1, 1)
        c = mean.shape[1]
        scale = brightness * contrast
        if c not in (1, 3):
            same, _ = _same_and_grey(c, mean.device)
            return same * scale, (1 - contrast) * brightness * mean
        offset = (1 - contrast) * brightness * _luma(mean)
        if c == 1:
            return scale, offset
        same, grey = _same_and_grey(c, mean.device)
        saturate = torch.lerp(grey, same, saturation)
        return torch.bmm(_hue(turn), saturate) * scale, offset.expand_as(mean)


def _luma(x: Tensor) -> Tensor:
    """Luma of colour pixels, mean of other channels: (B, C, N) -> (B, 1, N)."""
    return (_weights(x.device) * x).sum(1, keepdim=True) if x.shape[1] == 3 else x.mean(1, True)


def _hue(turn: Tensor) -> Tensor:
    """Rotations of the YIQ chroma plane by angles in turns: (B, 1, 1) -> (B, 3, 3)."""
    same, cos, sin = _turns(turn.device)
    angle = 2 * math.pi * turn
    return same + angle.cos() * cos + angle.sin() * sin


@cache
def _no_jitter(device: torch.device) -> Tensor:
    """The draw of an image that stays as it is: (4,)."""
    return torch.tensor([1.0, 1.0, 1.0, 0.0], device=device)


@cache
def _turns(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The constant, cosine and sine parts of a hue rotation: (3, 3) each."""
    luma, first, second = yiq(device).unsqueeze(1)  # (1, 3) each
    grey, red, blue = rgb(device).T.unsqueeze(2)  # (3, 1) each
    return grey @ luma, red @ first + blue @ second, blue @ first - red @ second


@cache
def _same_and_grey(channels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The identity and the projection to grey: (1, C, C) each."""
    same = torch.eye(channels, device=device)[None]
    return same, _luma(same).expand(1, channels, channels).contiguous()


@cache
def _weights(device: torch.device) -> Tensor:
    """The luma weights of red, green and blue: (3, 1)."""
    return torch.tensor(LUMA, device=device).unsqueeze(1)


class Grey(Colour):
    """Conversion to greyscale with probability p: luma, or the mean of other than three channels.

    The mean is the usual choice for satellite images, as in SSL4EO-S12 (arXiv:2211.07044).
    """

    def __init__(self, p: Share = 0.2):
        self.p = p

    def draw(self, x: Tensor) -> Tensor:
        return _chosen(x, self.p)

    def colour(self, mean: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        same, grey = _same_and_grey(mean.shape[1], mean.device)
        return torch.where(draw.unsqueeze(2), grey, same), torch.zeros_like(mean)


class Solarize(Pointwise):
    """With probability p, invert every value of at least `threshold`."""

    def __init__(self, p: Share = 0.2, threshold: Share = 0.5):
        self.p, self.threshold = p, threshold

    def draw(self, x: Tensor) -> Tensor:
        return _chosen(x, self.p)

    def apply(self, x: Tensor, draw: Tensor) -> Tensor:
        return torch.where(draw[..., None, None] & (x >= self.threshold), 1 - x, x)


class Rotate(Pointwise):
    """With probability p, rotate by 90, 180 or 270 degrees, counter-clockwise."""

    def __init__(self, p: Share = 0.75):
        self.p = p

    def draw(self, x: Tensor) -> Tensor:
        """The number of quarter turns: (B, 1)."""
        return integers(x, 1, 4, 1) * _chosen(x, self.p)

    def apply(self, x: Tensor, draw: Tensor) -> Tensor:
        return rotate(x, draw[:, 0])

    def size(self, before: Size) -> Size:
        check_square(before)
        return before


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Rotate square images (B, C, S, S) counter-clockwise by their numbers of quarter turns (B,).

    Raises `UserError` if the images are not square.
    """
    check_square((x.shape[2], x.shape[3]))
    turns = turns.view(-1, 1, 1, 1)
    x = torch.where(turns % 2 == 1, x.mT.flip(2), x)
    return torch.where(turns >= 2, x.flip(2, 3), x)


def check_square(size: Size) -> None:
    """Raise `UserError` if images of this size cannot be rotated by quarter turns in a batch."""
    if size[0] != size[1]:
        raise UserError(
            f"images of {size[0]} x {size[1]} pixels cannot be rotated by 90 degrees in a batch; "
            "choose a square size in the dataset's recipe"
        )
