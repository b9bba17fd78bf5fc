"""Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup. arXiv:2101.06983"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unlabel.nn.batch_norm import fixed_statistics


def in_chunks(
    module: nn.Module, function: Callable[..., Tensor], size: int | None, *inputs: Tensor
) -> Tensor:
    """Apply a function of `module` to inputs (B, ...), `size` images at a time -> (B, ...).

    Only the results are kept. The backward pass starts when the loss of the whole batch is known.
    It computes each chunk again, with the intermediate results of one chunk in memory at a time.
    So the gradient is that of the whole batch, except that batch norm sees one chunk at a time.
    """
    if size is None or len(inputs[0]) <= size:
        return function(*inputs)
    parts = zip(*(each.split(size) for each in inputs), strict=True)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), fixed_statistics(
            module
        )  # for the first computation, and for the second

    return torch.cat(
        [checkpoint(function, *part, use_reentrant=False, context_fn=contexts) for part in parts]
    )
