"""The device a job computes on, and the precision it computes in."""

import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor, nn

from unlabel.data.compressed import CompressedImages
from unlabel.data.images import Images
from unlabel.errors import UserError, reason
from unlabel.ranges import Count, Natural

GPUS = "UNLABEL_GPUS"  # as in `unlabel.workflow.slots`
STAND_INS = "UNLABEL_STAND_IN_GPUS"  # as in `unlabel.workflow.devices`
WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # buffers of a fixed size for cuBLAS's sums


@dataclass(frozen=True)
class Hardware:
    """A device, the number of CPU threads, and the precision to compute in.

    The number of threads is a setting, whatever the scheduler gives a job, because sums depend on
    it. `auto` is the GPU if there is one, and bfloat16 if the device computes in it; `resolve`
    decides. A compiled encoder takes a while to begin, and rounds differently. `workers` threads
    decode compressed images ahead of the training; with none, each step waits for its own images.
    """

    device: str = "auto"
    threads: Count = 1
    workers: Natural = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool | None = False  # compile the encoder; None: on a GPU, where there is a compiler

    def resolve(self) -> Self:
        """The same on this machine, with a device, a precision and a choice for `compile`.

        Raises `UserError` if this machine does not have the device, or cannot compile.
        """
        device = _device(self.device)
        compiles = self.compile
        if compiles is None:
            compiles = device.startswith("cuda") and compiler(device) is not None
        elif compiles and compiler(device) is None:
            raise UserError(
                "hardware.compile is true, but this machine has no C++ compiler; "
                "install g++, or set it to false"
            )
        precision = self.precision
        if precision == "auto":
            precision = "bfloat16" if _has_bfloat16(device) else "float32"
        return replace(self, device=device, precision=precision, compile=compiles)

    def configure(self) -> None:
        """Set torch's switches for this process: threads, true float32, reproducible kernels.

        On a GPU, an operation whose bits would differ from run to run is an error.
        """
        if self.device.startswith("cuda:"):
            torch.cuda.set_device(self.device)  # NCCL sends from and to the current device
        if self.device.startswith("cuda"):
            deterministic()
            if self.compile:  # tell the compiler too, which this loads
                torch.use_deterministic_algorithms(True)
        torch.set_num_threads(self.threads)
        # float32 is float32: TF32 would round the factors of a product to 10 bits.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        # The kernels that cuDNN and cuBLAS find fastest differ from run to run.
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False

    def autocast(self) -> AbstractContextManager[None]:
        """Compute in `precision` inside this context."""
        device = torch.device(self.device).type
        return torch.autocast(device, torch.bfloat16, enabled=self.precision == "bfloat16")

    def move(self, module: nn.Module) -> nn.Module:
        """`module` on the device, with channels last: 1.5 times as fast, on CPUs too."""
        return module.to(self.device).to(memory_format=torch.channels_last)

    def hold(self, images: Images) -> Images:
        """The images on the device if they leave room for a model there; else where they are."""
        if self.device == "cpu" or isinstance(images.image, CompressedImages):
            return images
        free = torch.cuda.mem_get_info(self.device)[0] if self.device.startswith("cuda") else 0
        fits = images.image.nbytes < free / 2
        return Images(*(t.to(self.device) for t in images)) if fits else images

    def copies(self, images: Images) -> bool:
        """Are these images copied to a GPU, batch by batch?"""
        return self.device.startswith("cuda") and images.id.device.type == "cpu"

    def pixels(self, image: Tensor | CompressedImages) -> Tensor:
        """uint8 (B, C, H, W) anywhere -> floats in [0, 1] (B, C, H, W) on the device."""
        return image.to(self.device, non_blocking=True).to(torch.float32) / 255


def deterministic() -> None:
    """Have torch compute with reproducible operations alone, or raise `RuntimeError`."""
    os.environ.setdefault(*WORKSPACE)  # cuBLAS reads it when it is first called
    # What `use_deterministic_algorithms` does, without loading the compiler, which takes a second.
    torch.set_deterministic_debug_mode("error")
    # Filling each new tensor first would be one more pass over it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _device(name: str) -> str:
    """The device that a setting names. Raises `UserError` if this machine does not have it."""
    device = name
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu" and _given_a_gpu():
            raise UserError(
                "this job was given a GPU, but torch finds none; mend the driver (nvidia-smi shows "
                "whether it works) or this Python's torch (is it built for CUDA?), or compute on "
                "the CPU: --config gpu=0 for a workflow, hardware.device=cpu for a run"
            )
    if device == "cuda" and "LOCAL_RANK" in os.environ:  # one of several processes
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"hardware.device is {device!r}, but this machine does not have it ({reason(error)}); "
            "set it to auto or cpu"
        ) from error
    return device


def _given_a_gpu() -> bool:
    """Has a workflow or Slurm given this job a GPU, and not a test a stand-in for one?"""
    given = os.environ.get(GPUS, os.environ.get("SLURM_JOB_GPUS", "0"))
    return given != "0" and STAND_INS not in os.environ


def compiler(device: str) -> str | None:
    """The path of what torch's compiler needs besides itself: a C++ or, for a GPU, a C compiler."""
    asked = os.environ.get("CC" if device.startswith("cuda") else "CXX")
    usual = ("gcc", "clang", "cc") if device.startswith("cuda") else ("g++", "clang++", "c++")
    return next(filter(None, map(shutil.which, (asked or "", *usual))), None)


def _has_bfloat16(device: str) -> bool:
    """Does the device multiply in bfloat16? A CPU without AVX512-BF16 or AMX is slower in it."""
    if device == "cpu":
        return getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    with torch.cuda.device(device):
        return torch.cuda.is_bf16_supported()
