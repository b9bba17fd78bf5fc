"""One training in several processes, each with its own rows of every batch.

In one process, every function here is the identity. With P processes, each has b = B / P images of
a batch of B, and the mean of their losses is minimised. A loss that is a mean over images needs
nothing more. A loss that compares images needs those of all processes: `gather` brings them, and
its backward pass sums the gradients of all processes. Each process makes the random draws for the
whole batch, so the draws do not depend on the number of processes.
"""

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, nn


def world() -> int:
    """The number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process among them, from 0."""
    return dist.get_rank() if world() > 1 else 0


def local_rows(whole: Tensor, views: int = 1) -> Tensor:
    """This process's rows of the whole batch: (B, ...) -> (b, ...), or of each view of it."""
    if world() == 1:
        return whole
    return whole.unflatten(0, (views, world(), -1))[:, rank()].flatten(0, 1)


def draw_rows(images: int, draw: Callable[[int], Tensor]) -> Tensor:
    """This process's rows (b, ...) of `draw(B)`, a draw for the whole batch."""
    return local_rows(draw(images * world()))


def gather(x: Tensor, views: int = 1) -> Tensor:
    """The rows of all processes, the inverse of `local_rows`: (b, ...) -> (B, ...).

    If x holds one view of the batch after another, so does the result. bfloat16 becomes float32.
    """
    if world() == 1:
        return x
    x = x.float() if x.dtype == torch.bfloat16 else x
    every: Tensor = _Gather.apply(x)
    return every.unflatten(1, (views, -1)).transpose(0, 1).flatten(0, 2)


class _Gather(torch.autograd.Function):
    """(n, ...) -> (P, n, ...)"""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        x = x.contiguous()
        parts = [torch.empty_like(x) for _ in range(world())]
        dist.all_gather(parts, x)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[rank()]


@torch.no_grad()
def average(x: Tensor) -> Tensor:
    """The mean over processes, without gradient; all processes get the same bits."""
    if world() == 1:
        return x
    x = x.detach().contiguous().clone()
    dist.all_reduce(x)
    return x / world()


def average_gradients(module: nn.Module) -> None:
    """Replace each gradient by its mean over all processes, in one message."""
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    if world() == 1 or not gradients:
        return
    flat = average(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view(gradient.shape))


def any_process(vote: bool) -> bool:
    """Does any process vote yes? Waits for the votes of all."""
    if world() == 1:
        return vote
    votes = torch.tensor(int(vote))  # on the CPU, so that GPUs need not stop for it
    dist.all_reduce(votes, dist.ReduceOp.MAX)
    return bool(votes)
