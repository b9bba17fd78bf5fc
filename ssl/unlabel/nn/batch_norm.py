"""Batch norm for a batch that several processes share, or that is computed in chunks."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from unlabel.errors import UserError
from unlabel.nn.distributed import gather, world


class SynchronisedBatchNorm(nn.SyncBatchNorm):
    """Batch norm by the mean and variance over all processes, which have equally many images.

    torch's own version, with its fused kernels, needs GPUs; this one computes on CPUs as well. The
    parameters have the names they have in `nn.BatchNorm2d`.
    """

    apart = False  # use the process's own images alone; see `in_turn`

    @classmethod
    def of(cls, norm: _BatchNorm) -> Self:
        """The layer that takes the place of `norm`, with its settings, parameters and buffers."""
        made = cls(
            norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
        )
        made.weight, made.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers():
            made.register_buffer(name, buffer)
        return made.train(norm.training)

    def _check_input_dim(self, x: Tensor) -> None:
        """Vectors (B, D) and maps (B, D, H, W) alike."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.apart or world() == 1:
            return _BatchNorm.forward(self, x)
        if x.is_cuda:
            return super().forward(x)
        h = x.float()
        others = [d for d in range(x.ndim) if d != 1]
        mine = torch.stack([h.mean(others), h.var(others, correction=0)])  # (2, D)
        mean, var = gather(mine.unsqueeze(0)).unbind(1)  # (P, D) each
        var = var.mean(0) + mean.var(0, correction=0)
        mean = mean.mean(0)
        self._track(mean.detach(), var.detach(), world() * x.numel() // x.shape[1])
        scale = (var + self.eps).rsqrt() * (1 if self.weight is None else self.weight)
        shift = (0 if self.bias is None else self.bias) - mean * scale
        shape = (-1, *[1] * (x.ndim - 2))
        return torch.addcmul(shift.view(shape), h, scale.view(shape)).to(x.dtype)

    def _track(self, mean: Tensor, var: Tensor, n: int) -> None:
        share = self.momentum
        assert share is not None  # None would mean a plain average, which no encoder here uses
        self.get_buffer("running_mean").lerp_(mean, share)
        self.get_buffer("running_var").lerp_(var * (n / (n - 1)), share)
        self.get_buffer("num_batches_tracked").add_(1)


def synchronise(module: nn.Module) -> None:
    """Put synchronised batch norm in place of all batch norm in `module`, if processes share it.

    The new layers have the parameters and statistics of the old ones. A layer may have several
    names in `module`; it keeps them all.
    """
    if world() == 1:
        return
    made: dict[nn.Module, SynchronisedBatchNorm] = {}
    for name, norm in list(module.named_modules(remove_duplicate=False)):
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            if norm not in made:
                made[norm] = SynchronisedBatchNorm.of(norm)
            module.set_submodule(name, made[norm])


def split(x: Tensor, splits: int) -> tuple[Tensor, ...]:
    """This process's images (b, ...) in its share of `splits` parts, as MoCo's batch norm has.

    Raises `UserError` if the parts do not divide among the processes, or are too small.
    """
    parts, odd = divmod(splits, world()) if splits > 1 else (1, 0)
    if odd:
        raise UserError(
            f"method.splits is {splits}, which does not divide among {world()} processes; "
            "set it to a multiple of training.processes, or to 1"
        )
    if len(x) < 2 * parts:
        raise UserError(
            f"method.splits is {splits}, too many for a batch of {len(x) * world()}; set it lower"
        )
    return x.chunk(parts)


def pass_in_parts(network: nn.Module, x: Tensor, splits: int, one_pass: bool) -> Tensor:
    """Apply a network to images (b, ...), of which batch norm sees `split(x, splits)` in turn.

    With `one_pass`, all else sees them together, which takes fewer operations. Gradients are then
    rounded in another way, so MoCo's queries do not take it on a CPU, whose results are published.
    """
    parts = split(x, splits)
    if not one_pass or len(parts) == 1:
        return torch.cat([network(part) for part in parts])
    norms = [each for each in network.modules() if isinstance(each, _BatchNorm)]
    for norm in norms:
        vars(norm)["forward"] = partial(_each_part, norm, len(parts))  # instead of the class's own
    try:
        z: Tensor = network(x)
    finally:
        for norm in norms:
            del vars(norm)["forward"]
    return z


def _each_part(norm: _BatchNorm, parts: int, x: Tensor) -> Tensor:
    """What `norm.forward` makes of the parts, in one sum of their gradients and one count."""
    if not norm.training:
        return type(norm).forward(norm, x)
    learned = [
        [None] * parts if each is None else each.expand(parts, -1).unbind()
        for each in (norm.weight, norm.bias)
    ]
    norm.get_buffer("num_batches_tracked").add_(parts)
    seen = norm.running_mean, norm.running_var
    made = [
        F.batch_norm(part, *seen, weight, bias, True, norm.momentum or 0.0, norm.eps)
        for part, weight, bias in zip(x.chunk(parts), *learned, strict=True)
    ]
    return torch.cat(made)


@contextmanager
def in_turn(module: nn.Module) -> Iterator[None]:
    """Inside, batch norm sees each process's own images, as if the processes took turns.

    The running statistics end as if one process had done the work of process 0, then that of
    process 1, and so on.
    """
    norms = [each for each in module.modules() if isinstance(each, SynchronisedBatchNorm)]
    if world() == 1:
        norms = []
    before = [{name: b.clone() for name, b in norm.named_buffers()} for norm in norms]
    for norm in norms:
        norm.apart = True
    try:
        yield
    finally:
        for norm in norms:
            norm.apart = False
    for norm, start in zip(norms, before, strict=True):
        steps = norm.get_buffer("num_batches_tracked") - start["num_batches_tracked"]
        kept = (1 - (norm.momentum or 0)) ** steps
        for name in ("running_mean", "running_var"):
            total = start[name]
            for after in gather(norm.get_buffer(name).unsqueeze(0)):
                total = after + kept * (total - start[name])
            setattr(norm, name, total)  # not in place, which autograd would reject
        norm.num_batches_tracked = start["num_batches_tracked"] + world() * steps


@contextmanager
def fixed_statistics(module: nn.Module) -> Iterator[None]:
    """Inside, batch norm's running statistics stay as they are: it has seen the images."""
    norms = [each for each in module.modules() if isinstance(each, _BatchNorm)]
    before = [(norm.momentum, norm.get_buffer("num_batches_tracked").clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # new images get no weight; copying back would be in place, as above
    try:
        yield
    finally:
        for norm, (momentum, steps) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.get_buffer("num_batches_tracked").copy_(steps)
