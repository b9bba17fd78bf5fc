"""Load images part by part; the next parts are made ready while one is in use."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from unlabel.data.compressed import CompressedImages
from unlabel.data.images import Images

Part = TypeVar("Part", slice, Tensor)  # an index into images
AHEAD = 2  # parts to make ready while one is in use
SHARE = 16  # images that a worker decodes at a time


class Pending(NamedTuple):
    """Images whose pixels are complete when all futures are done."""

    images: Images
    done: list[Future[object]]


def load(
    images: Images, parts: Iterable[Part], workers: int, pinned: bool = False
) -> Iterator[tuple[Part, Images]]:
    """Yield each part and its images as pixels, in order.

    `workers` threads decode compressed images ahead of their use. Threads suffice, as decoding
    releases Python's lock, and they end with the process whoever kills it. With `pinned`, a thread
    also gathers pixels ahead, in memory from which a GPU copies while it computes. Order and bits
    depend on neither. Raises `UserError` if an image is damaged.
    """
    ahead = pinned if isinstance(images.image, Tensor) else workers > 0
    if not ahead:
        for part in parts:
            yield part, images.take(part).decoded()
        return
    pool = ThreadPoolExecutor(max(1, workers), "load")
    waiting: deque[tuple[Part, Pending]] = deque()
    try:
        for part in parts:
            waiting.append((part, _begin(images, part, pool, pinned)))
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


def _begin(images: Images, part: Part, pool: ThreadPoolExecutor, pinned: bool) -> Pending:
    about = Images(images.id[part], images.image[:0], images.label[part], images.factor[part])
    shape = (len(about.id), *images.image.shape[1:])
    pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned and torch.cuda.is_available())
    done = [pool.submit(each) for each in _tasks(images.image, part, pixels)]
    return Pending(about._replace(image=pixels), done)


def _tasks(image: Tensor | CompressedImages, part: Part, out: Tensor) -> list[Callable[[], object]]:
    """What fills `out` with the pixels of a part, in pieces that do not depend on each other."""
    if isinstance(image, Tensor):
        return [lambda: out.copy_(image[part])]
    encoded = image[part]
    shares = (slice(start, start + SHARE) for start in range(0, len(encoded), SHARE))
    return [partial(encoded[share].decode, out[share]) for share in shares]


def _next(waiting: deque[tuple[Part, Pending]]) -> tuple[Part, Images]:
    part, begun = waiting.popleft()
    for share in begun.done:
        share.result()
    return part, begun.images
