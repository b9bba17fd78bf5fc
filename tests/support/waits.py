"""What would make the processor wait for a GPU, seen on a CPU."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

READS = {  # what gives Python a number, or a tensor whose size depends on numbers
    "_local_scalar_dense", "_unique2", "equal", "is_nonzero", "masked_select", "nonzero",
    "unique_consecutive", "unique_dim",
}  # fmt: skip
COPIES = {"lift_fresh", "lift_fresh_copy"}  # a tensor made of Python's numbers
CHECKS = {"_linalg_check_errors", "_linalg_eigh", "_linalg_svd"}  # whether a solver came to an end


class Waits(TorchDispatchMode):
    """Counts the operations inside for which a processor waits until its GPU has computed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        named = named or {}
        name = function.overloadpacket.__name__
        if name in READS | COPIES | CHECKS or named.get("check_errors"):
            self.found[name] += 1
        if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            masks = [each for each in arguments[1] if each is not None and each.dtype == torch.bool]
            self.found[f"{name} by a mask"] += len(masks)
        if name == "repeat_interleave" and isinstance(arguments[-1], Tensor):
            self.found[name] += "output_size" not in named
        self.found = +self.found  # without zeros
        return function(*arguments, **named)


@contextmanager
def reproducible() -> Iterator[None]:
    """Inside, an operation that may give other bits each time is an error, where torch knows it."""
    torch.set_deterministic_debug_mode("error")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode("default")
