"""Cut images into tiles and put tiles together again, for puzzles."""

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.augment.resampling import resize
from unlabel.errors import UserError
from unlabel.nn.distributed import draw_rows


def cut(x: Tensor, rows: int, columns: int, share: float) -> Tensor:
    """Cut a tile at a random place in each cell of a grid: (B, C, H, W) -> (B, N, C, h, w).

    A tile's sides are `share` of its cell's. The gaps between tiles keep matching edges from giving
    their order away. The N = rows * columns cells are in reading order. Raises `UserError` if a
    tile would have no pixels.
    """
    b, c, height, width = x.shape
    size = tile((height, width), rows, columns, share)
    n = rows * columns
    cell = torch.arange(n, device=x.device)
    inside = draw_rows(
        b, lambda b: torch.rand(2, b, n, device=x.device).transpose(0, 1)
    )  # (B, 2, N)
    inside = inside.transpose(0, 1) * (1 - share)
    top = ((cell // columns + inside[0]) / rows).view(-1, 1)
    left = ((cell % columns + inside[1]) / columns).view(-1, 1)
    down = resize(height, size[0], top, torch.full_like(top, share / rows))  # (BN, h, H)
    across = resize(width, size[1], left, torch.full_like(left, share / columns))  # (BN, w, W)
    # Columns first, in one product for all channels, as in `augment`.
    x = x.reshape(b, 1, c * height, width).expand(-1, n, -1, -1).flatten(0, 1)
    x = (x @ across.mT).view(b * n, c, height, -1)
    return (down[:, None] @ x).unflatten(0, (b, n))


def tile(size: tuple[int, int], rows: int, columns: int, share: float) -> tuple[int, int]:
    """The height and width of a tile of images of a `size`, as `cut` makes them.

    Raises `UserError` if it would have no pixels.
    """
    found = (round(share * size[0] / rows), round(share * size[1] / columns))
    if not 0 < share <= 1 or 0 in found:
        raise UserError(
            f"method.share is {share}: tiles would be {found[0]} x {found[1]} pixels, for images "
            f"of {size[0]} x {size[1]} pixels in {rows} x {columns} cells; choose a share above 0 "
            "and up to 1 that leaves some pixels, or fewer cells"
        )
    return found


def take(parts: Tensor, index: Tensor) -> Tensor:
    """Select parts of each image by index: (B, N, ...), (B, K) -> (B, K, ...)."""
    return parts[torch.arange(len(parts), device=parts.device).unsqueeze(1), index]


def join(tiles: Tensor, columns: int, line: int = 0) -> Tensor:
    """Join tiles in reading order, each with a grey border of `line` pixels.

    (B, N, C, h, w) -> (B, C, H, W)
    """
    grid = F.pad(tiles, (line,) * 4, value=0.5).unflatten(1, (-1, columns))  # (B, r, c, C, h, w)
    return grid.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


def overlapping_size(image: tuple[int, int], grid: int) -> tuple[int, int]:
    """The size of tiles that overlap by half. Raises `UserError` if they are too small."""
    high, wide = (2 * side // (grid + 1) for side in image)
    if min(high, wide) < 2:
        raise UserError(f"method.grid is {grid}, too many for {min(image)} pixels; choose fewer")
    return high, wide


def overlapping(x: Tensor, grid: int) -> Tensor:
    """Tiles that overlap by half: (B, C, H, W) -> (B, grid, grid, C, h, w), in reading order."""
    high, wide = overlapping_size((x.shape[2], x.shape[3]), grid)
    tiles = x.unfold(2, high, high // 2).unfold(3, wide, wide // 2)[:, :, :grid, :grid]
    return tiles.permute(0, 2, 3, 1, 4, 5)
