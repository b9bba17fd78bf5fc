"""The kinds of transforms."""

from collections.abc import Mapping

from torch import Tensor

from unlabel.augment.resampling import Neighbours, dense

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
