"""Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup. arXiv:2101.06983"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unlabel.nn.batch_norm import unmoved


def in_chunks(
    module: nn.Module, function: Callable[..., Tensor], size: int | None, *inputs: Tensor
) -> Tensor:
    """`function` of inputs (B, ...), which `module` computes, `size` images at a time -> (B, ...).

    Only the results are kept. The backward pass, which begins once the loss of all of them is
    known, computes each chunk anew and has one chunk's intermediate results in memory at a time.
    So the gradient is that of the whole batch, but for batch norm, which sees the chunks alone.
    """
    if size is None or len(inputs[0]) <= size:
        return function(*inputs)
    parts = zip(*(each.split(size) for each in inputs), strict=True)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), unmoved(module)  # of the computation, and of its repetition

    return torch.cat(
        [checkpoint(function, *part, use_reentrant=False, context_fn=contexts) for part in parts]
    )
