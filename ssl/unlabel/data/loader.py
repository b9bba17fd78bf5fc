"""A set's images a part at a time, the next ones decoded while the last are used."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from unlabel.data.compressed import Encoded
from unlabel.data.images import Images

Part = TypeVar("Part", slice, Tensor)  # an index into images
AHEAD = 2  # parts that are decoded while one is used
SHARE = 16  # images that a worker decodes at a time


class Begun(NamedTuple):
    """Images whose pixels are there when all futures are done."""

    images: Images
    done: list[Future[None]]


def load(images: Images, parts: Iterable[Part], workers: int) -> Iterator[tuple[Part, Images]]:
    """Each part and its images as pixels, in order.

    Encoded images are decoded by so many threads ahead of their use: not by processes, as decoding
    leaves Python's lock to others, and threads end with whoever kills their process. Order and bits
    do not depend on their number. Raises `UserError` for an image that is damaged.
    """
    if isinstance(images.image, Tensor) or not workers:
        for part in parts:
            yield part, images.take(part).decoded()
        return
    pool = ThreadPoolExecutor(workers, "decode")
    waiting: deque[tuple[Part, Begun]] = deque()
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


def _begin(images: Images, pool: ThreadPoolExecutor) -> Begun:
    encoded = images.image
    assert isinstance(encoded, Encoded)
    pixels = torch.empty(encoded.shape, dtype=torch.uint8)
    shares = (slice(start, start + SHARE) for start in range(0, len(encoded), SHARE))
    done = [pool.submit(encoded[share].decode, pixels[share]) for share in shares]
    return Begun(images._replace(image=pixels), done)


def _next(waiting: deque[tuple[Part, Begun]]) -> tuple[Part, Images]:
    part, begun = waiting.popleft()
    for share in begun.done:
        share.result()
    return part, begun.images
