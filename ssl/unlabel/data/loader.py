"""Load images part by part, and decode the next parts while one is in use."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from unlabel.data.compressed import CompressedImages
from unlabel.data.images import Images

Part = TypeVar("Part", slice, Tensor)  # an index into images
AHEAD = 2  # parts to decode while one is in use
SHARE = 16  # images that a worker decodes at a time


class Pending(NamedTuple):
    """Images whose pixels are complete when all futures are done."""

    images: Images
    done: list[Future[None]]


def load(images: Images, parts: Iterable[Part], workers: int) -> Iterator[tuple[Part, Images]]:
    """Yield each part and its images as pixels, in order.

    `workers` threads decode compressed images ahead of their use. Threads suffice, as decoding
    releases Python's lock, and they end with the process whoever kills it. Order and bits do not
    depend on their number. Raises `UserError` if an image is damaged.
    """
    if isinstance(images.image, Tensor) or not workers:
        for part in parts:
            yield part, images.take(part).decoded()
        return
    pool = ThreadPoolExecutor(workers, "decode")
    waiting: deque[tuple[Part, Pending]] = deque()
    try:
        for part in parts:
            waiting.append((part, _begin(images.take(part), pool)))
            if len(waiting) > AHEAD:
                yield _next(waiting)
        while waiting:
            yield _next(waiting)
    finally:
        pool.shutdown(cancel_futures=True)


def batches(images: Images, size: int, workers: int = 0) -> Iterator[Images]:
    """The images as pixels, `size` at a time."""
    parts = (slice(start, start + size) for start in range(0, len(images.id), size))
    for _, part in load(images, parts, workers):
        yield part


def _begin(images: Images, pool: ThreadPoolExecutor) -> Pending:
    encoded = images.image
    assert isinstance(encoded, CompressedImages)
    pixels = torch.empty(encoded.shape, dtype=torch.uint8)
    shares = (slice(start, start + SHARE) for start in range(0, len(encoded), SHARE))
    done = [pool.submit(encoded[share].decode, pixels[share]) for share in shares]
    return Pending(images._replace(image=pixels), done)


def _next(waiting: deque[tuple[Part, Pending]]) -> tuple[Part, Images]:
    part, begun = waiting.popleft()
    for share in begun.done:
        share.result()
    return part, begun.images
