"""Random image transforms on whole batches, on the images' device, one draw per image.

All randomness is in `draw`; `apply` is a pure function of the images and that draw.

Two families of transforms cost next to nothing because neighbours of one family are composed
before a pixel is touched. Cropping, flipping and blurring act on rows and columns alone: together
they are one matrix from the left and one from the right; of a crop alone, each row and each column
is a mean of two (`unlabel.augment.resampling`). Brightness, contrast, saturation, hue and grey are
linear in a pixel's channels: together they are one small matrix. The two commute, as the rows of
every resampling matrix sum to one (contrast takes the mean of the resampled image). Values are
clamped to [0, 1] once, after both.
"""

import math
from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor

from unlabel.augment.colour import LUMA, YIQ
from unlabel.augment.resampling import Neighbours, dense, enlarge, gaussian, resize
from unlabel.errors import UserError
from unlabel.nn.draws import integers, uniform

Rows = Tensor | Neighbours  # or columns: of B images, matrices (B, out, in)
Draw = Mapping[str, Tensor]


class Transform:
    """One random transform. `draw(x)` gives one random row per image of x (B, C, H, W)."""

    def draw(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class Resampling(Transform):
    """A transform of rows and columns: image -> rows @ image @ columnsᵀ."""

    def matrices(self, height: int, width: int, draw: Tensor) -> tuple[Rows, Rows]:
        """rows (B, h, height) and columns (B, w, width)."""
        raise NotImplementedError

    def follow(
        self, rows: Rows | None, columns: Rows | None, size: tuple[int, int], draw: Tensor
    ) -> tuple[Rows | None, Rows]:
        """The matrices of earlier transforms, None where they do nothing, with this one's after.

        `size` (height, width) is what the earlier ones have left.
        """
        then = self.matrices(*size, draw)
        return _after(rows, then[0]), _after(columns, then[1])


def _after(first: Rows | None, then: Rows) -> Rows:
    return then if first is None else dense(then) @ dense(first)


class Colour(Transform):
    """A transform of each pixel's channels: pixel -> matrix @ pixel + offset."""

    def colour(self, mean: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        """The image's mean colour (B, C, 1) -> matrix (B, C, C), offset (B, C, 1)."""
        raise NotImplementedError


class Pointwise(Transform):
    """Any other transform."""

    def apply(self, x: Tensor, draw: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)"""
        raise NotImplementedError


class Augment:
    """Named transforms, applied in order; one that is None is left out."""

    def __init__(self, **transforms: Transform | None):
        self.transforms = {name: t for name, t in transforms.items() if t is not None}

    def draw(self, x: Tensor) -> dict[str, Tensor]:
        """What is random, by the transform's name."""
        return {name: transform.draw(x) for name, transform in self.transforms.items()}

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        """Images in [0, 1] (B, C, H, W) -> (B, C, h, w) in [0, 1]."""
        pending: dict[str, Transform] = {}
        for name, transform in self.transforms.items():
            if isinstance(transform, Pointwise):
                x, pending = transform.apply(_composed(x, pending, draw), draw[name]), {}
            else:
                pending[name] = transform
        return _composed(x, pending, draw)

    def __call__(self, x: Tensor) -> Tensor:
        """A random view of each image."""
        return self.apply(x, self.draw(x))

    def pair(self, x: Tensor) -> Tensor:
        """Two random views of each image: (B, C, H, W) -> (2B, C, h, w); i and i + B are a pair.

        Of 256 small images they take a tenth less time at once than one after the other.
        """
        first, second = self.draw(x), self.draw(x)
        both = {name: torch.cat([first[name], second[name]]) for name in first}
        return self.apply(x.repeat(2, 1, 1, 1), both)


def _composed(x: Tensor, transforms: Mapping[str, Transform], draw: Draw) -> Tensor:
    """Apply resampling and colour transforms, each family as one product."""
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
    if isinstance(columns, Neighbours):  # pixels stay in the order of columns: colours do not mind
        x = columns.of(x.mT)
    elif columns is not None:  # as one product for all channels: twice as fast as one for each
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
    """How many rows there are afterwards."""
    if rows is None:
        return size
    return rows.share.shape[1] if isinstance(rows, Neighbours) else rows.shape[1]


def _uniform(like: Tensor, low: float, high: float, *, n: int = 1) -> Tensor:
    """(B, n), uniform in [low, high)."""
    return uniform(like, n, low=low, high=high)


def _chosen(like: Tensor, p: float) -> Tensor:
    """(B, 1), true with probability p."""
    return uniform(like, 1) < p


class Crop(Resampling):
    """A random box, resized to `size` pixels (or to the image's own size), antialiased.

    The box has a share of the image's area in `scale` and an aspect ratio in `ratio`
    (log-uniform); a side that would exceed the image is cut to it.
    """

    def __init__(
        self,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        size: int | None = None,
    ):
        self.scale, self.ratio, self.size = tuple(scale), tuple(ratio), size

    def draw(self, x: Tensor) -> Tensor:
        """(B, 4): top, left, height, width as shares of the image."""
        height, width = x.shape[2:]
        area = _uniform(x, self.scale[0], self.scale[1])
        low, high = (math.log(r * height / width) for r in self.ratio)
        root = (_uniform(x, low, high) / 2).exp()
        box = torch.cat([area.sqrt() / root, area.sqrt() * root], 1).clamp(max=1)
        return torch.cat([_uniform(x, 0, 1, n=2) * (1 - box), box], 1)

    def matrices(self, height: int, width: int, draw: Tensor) -> tuple[Rows, Rows]:
        top, left, tall, wide = draw.split(1, dim=1)
        h, w = (self.size, self.size) if self.size else (height, width)
        rows = enlarge if h >= height > 1 else resize
        columns = enlarge if w >= width > 1 else resize
        return rows(height, h, top, tall), columns(width, w, left, wide)


class Flip(Resampling):
    """Horizontal flip."""

    def __init__(self, p: float = 0.5):
        self.p = p

    def draw(self, x: Tensor) -> Tensor:
        return _chosen(x, self.p)

    def follow(
        self, rows: Rows | None, columns: Rows | None, size: tuple[int, int], draw: Tensor
    ) -> tuple[Rows | None, Rows]:
        # Of columns in reverse, as a product would say it, but four times as fast.
        if isinstance(columns, Neighbours):
            return rows, columns.flipped(draw)
        columns = torch.eye(size[1], device=draw.device) if columns is None else columns
        return rows, torch.where(draw.unsqueeze(2), columns.flip(-2), columns)


class Blur(Resampling):
    """Gaussian blur; sigma in pixels. At the border the kernel is cut and normalised again."""

    def __init__(self, p: float = 0.5, sigma: tuple[float, float] = (0.1, 2.0)):
        self.p, self.sigma = p, tuple(sigma)

    def draw(self, x: Tensor) -> Tensor:
        """(B, 1): sigma, 0 where the image is left as it is."""
        return _uniform(x, self.sigma[0], self.sigma[1]) * _chosen(x, self.p)

    def matrices(self, height: int, width: int, draw: Tensor) -> tuple[Rows, Rows]:
        return gaussian(height, draw), gaussian(width, draw)


class Jitter(Colour):
    """Brightness, contrast, saturation and hue, in this order, all with probability p.

    The first three are factors in [1 - strength, 1 + strength], as torchvision's; hue is turned
    by up to `hue` of a circle around the grey axis, at constant luma. Grey images know brightness
    and contrast alone.
    """

    def __init__(
        self,
        brightness: float = 0.8,
        contrast: float = 0.8,
        saturation: float = 0.8,
        hue: float = 0.2,
        p: float = 0.8,
    ):
        self.strength = (brightness, contrast, saturation)
        self.hue, self.p = hue, p

    def draw(self, x: Tensor) -> Tensor:
        """(B, 4): three factors and an angle in turns; (1, 1, 1, 0) changes nothing."""
        factors = [_uniform(x, max(0, 1 - s), 1 + s) for s in self.strength]
        jitter = torch.cat([*factors, _uniform(x, -self.hue, self.hue)], 1)
        nothing = torch.tensor([1.0, 1.0, 1.0, 0.0], device=x.device)
        return torch.where(_chosen(x, self.p), jitter, nothing)

    def colour(self, mean: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        brightness, contrast, saturation, turn = draw.unsqueeze(2).split(1, dim=1)  # (B, 1, 1)
        c = mean.shape[1]
        scale = brightness * contrast
        offset = (1 - contrast) * brightness * _luma(mean)
        if c == 1:
            return scale, offset
        same, grey = _same_and_grey(c, mean.device)
        saturate = torch.lerp(grey, same, saturation)
        return torch.bmm(_hue(turn), saturate) * scale, offset.expand_as(mean)


def _luma(x: Tensor) -> Tensor:
    """(B, C, N) -> (B, 1, N)"""
    return (_weights(x.device) * x).sum(1, keepdim=True) if x.shape[1] == 3 else x.mean(1, True)


def _hue(turn: Tensor) -> Tensor:
    """(B, 1, 1) turns -> (B, 3, 3): a rotation of the chroma plane of the YIQ colour space."""
    same, cos, sin = _turns(turn.device)
    angle = 2 * math.pi * turn
    return same + angle.cos() * cos + angle.sin() * sin


@cache
def _turns(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """What a turn keeps, and what its cosine and sine are factors of: (3, 3) each."""
    luma, first, second = _yiq(device).unsqueeze(1)  # (1, 3) each
    grey, red, blue = torch.linalg.inv(_yiq(device)).T.unsqueeze(2)  # (3, 1) each, of YIQ to RGB
    return grey @ luma, red @ first + blue @ second, blue @ first - red @ second


@cache
def _same_and_grey(channels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """What leaves a colour as it is, and what makes it grey: (1, C, C) each."""
    same = torch.eye(channels, device=device)[None]
    return same, _luma(same).expand(1, channels, channels).contiguous()


@cache
def _weights(device: torch.device) -> Tensor:
    """(3, 1): luma of red, green and blue."""
    return torch.tensor(LUMA, device=device).unsqueeze(1)


@cache
def _yiq(device: torch.device) -> Tensor:
    """(3, 3): RGB to YIQ, whose first row is luma."""
    return torch.tensor(YIQ, device=device)


class Grey(Colour):
    """Conversion to grey."""

    def __init__(self, p: float = 0.2):
        self.p = p

    def draw(self, x: Tensor) -> Tensor:
        return _chosen(x, self.p)

    def colour(self, mean: Tensor, draw: Tensor) -> tuple[Tensor, Tensor]:
        same, grey = _same_and_grey(mean.shape[1], mean.device)
        return torch.where(draw.unsqueeze(2), grey, same), torch.zeros_like(mean)


class Solarize(Pointwise):
    """Inversion of every value above a threshold."""

    def __init__(self, p: float = 0.2, threshold: float = 0.5):
        self.p, self.threshold = p, threshold

    def draw(self, x: Tensor) -> Tensor:
        return _chosen(x, self.p)

    def apply(self, x: Tensor, draw: Tensor) -> Tensor:
        return torch.where(draw[..., None, None] & (x >= self.threshold), 1 - x, x)


class Rotate(Pointwise):
    """Rotation by a random multiple of 90 degrees, counter-clockwise."""

    def __init__(self, p: float = 0.75):
        self.p = p

    def draw(self, x: Tensor) -> Tensor:
        """(B, 1): quarter turns."""
        return integers(x, 1, 4, 1) * _chosen(x, self.p)

    def apply(self, x: Tensor, draw: Tensor) -> Tensor:
        return rotate(x, draw[:, 0])


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Turn each square image of x (B, C, S, S) by its own number of quarter turns (B,)."""
    if x.shape[2] != x.shape[3]:
        raise UserError(
            f"images of {x.shape[2]} x {x.shape[3]} pixels cannot be turned by 90 degrees in a "
            "batch; choose a square size in the dataset's recipe"
        )
    turns = turns.view(-1, 1, 1, 1)
    x = torch.where(turns % 2 == 1, x.mT.flip(2), x)
    return torch.where(turns >= 2, x.flip(2, 3), x)
