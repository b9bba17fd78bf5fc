"""A stand-in for a GPU: tensors that are elsewhere for torch, and are computed on the CPU.

What a GPU would refuse is an error here, too: operations on tensors of both devices, operations
whose bits differ each time, and random numbers of a CPU's generator.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from unlabel.hardware import Hardware

DEVICE = "meta"  # torch lets tensors be there without a driver
BOTH = {  # what takes tensors of both devices
    *("copy_", "_to_copy", "lift_fresh", "index", "_unsafe_index", "index_put", "index_put_"),
    "_index_put_impl_",
}
VARIES = {  # what torch refuses on a GPU where it must give the same bits again
    *("_adaptive_avg_pool2d_backward", "adaptive_max_pool2d_backward", "avg_pool3d_backward"),
    *("upsample_linear1d_backward", "upsample_bilinear2d_backward", "upsample_bicubic2d_backward"),
    *("_upsample_bilinear2d_aa_backward", "_upsample_bicubic2d_aa_backward"),
    *("reflection_pad1d_backward", "reflection_pad2d_backward", "grid_sampler_2d_backward"),
    *("_ctc_loss_backward", "_embedding_bag_backward", "max_unpool2d", "put", "put_", "histc"),
    *("median", "nanmedian", "kthvalue"),
}
UNLESS = {  # the same, but not with these arguments
    "bincount": lambda _, weights=None, minlength=0: weights is None,
    "nll_loss2d_forward": lambda _, target, weight, reduction, *rest: reduction == 0,
}


class OnGPU(Tensor):
    """Says that it is on a GPU, and holds a tensor of the CPU."""

    held: Tensor
    is_cuda = property(lambda self: True)  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnGPU":
        made: OnGPU = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(DEVICE),
        )
        made.held = held
        return made

    def tolist(self) -> Any:
        return self.held.tolist()

    def new_tensor(self, data: Any, dtype: torch.dtype | None = None) -> Tensor:
        return torch.tensor(data, dtype=dtype or self.dtype, device=DEVICE)

    @classmethod
    def __torch_dispatch__(cls, operation: Any, _: Any, args: Any = (), named: Any = None) -> Any:
        return computed(operation, args, named or {})


class StandIn(TorchDispatchMode):
    """Inside, what is made on the stand-in is made of `OnGPU`."""

    def __torch_dispatch__(self, operation: Any, _: Any, args: Any = (), named: Any = None) -> Any:
        return computed(operation, args, named or {})


def computed(operation: Any, args: Any, named: dict[str, Any]) -> Any:
    """What an operation makes, on the device where a GPU's would be."""
    name = operation.overloadpacket.__name__
    tensors = [each for each in tree_leaves((args, named)) if isinstance(each, Tensor)]
    here = [each for each in tensors if not isinstance(each, OnGPU)]
    there = [each for each in tensors if isinstance(each, OnGPU)]
    asked = named.get("device")
    makes = there if asked is None else torch.device(asked).type == DEVICE
    if there and any(each.ndim for each in here) and name not in BOTH:
        shapes = [[tuple(each.shape) for each in one] for one in (there, here)]
        raise RuntimeError(f"{name}: tensors {shapes[0]} are on the GPU, and {shapes[1]} are not")
    if name == "index" and there and not isinstance(args[0], OnGPU):
        raise RuntimeError("index: the indices are on the GPU, and what they choose from is not")
    if there and (name in VARIES or (name in UNLESS and not UNLESS[name](*args, **named))):
        raise RuntimeError(f"{name} does not have a deterministic implementation")
    if makes and named.get("generator") is not None:
        raise RuntimeError(f"{name}: a CPU's generator cannot draw on a GPU")
    if asked is not None:
        named = named | {"device": "cpu"}
    if name == "copy_":
        makes = isinstance(args[0], OnGPU)
    same = {id(each.held): each for each in there}  # of what is changed in place
    found = operation(*tree_map(_held, args), **tree_map(_held, named))

    def placed(value: Any) -> Any:
        if not isinstance(value, Tensor) or not makes:
            return value
        return same[id(value)] if id(value) in same else OnGPU(value)

    return tree_map(placed, found)


def _held(value: Any) -> Any:
    return value.held if isinstance(value, OnGPU) else value


def stand_in(monkeypatch: pytest.MonkeyPatch) -> Hardware:
    """Let torch take the stand-in for a GPU; compute inside of `StandIn`."""
    tensor, autocast = torch.tensor, torch.autocast

    def tensor_there(*args: Any, device: Any = None, **named: Any) -> Tensor:
        made = tensor(*args, **named)
        return made if device is None else made.to(device)

    class Autocast(autocast):  # type: ignore[valid-type, misc]
        def __init__(self, device: str, *args: Any, **named: Any):
            super().__init__("cpu" if device == DEVICE else device, *args, **named)

    unchecked: Callable[..., None] = lambda *args, **named: None  # noqa: E731
    monkeypatch.setattr(torch, "tensor", tensor_there)
    monkeypatch.setattr(torch, "autocast", Autocast)
    monkeypatch.setattr(
        import_module("torch.optim.adam"), "_device_dtype_check_for_fused", unchecked
    )
    return Hardware(device=DEVICE, precision="float32").resolve()
