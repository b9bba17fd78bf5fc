"""Where a job computes, and in which precision."""

import ctypes
import os
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from unlabel.data.compressed import CompressedImages
from unlabel.data.images import Images
from unlabel.errors import UserError


@dataclass(frozen=True)
class Hardware:
    """A device, the number of threads on a CPU, and whether to compute in bfloat16.

    Threads are a setting and not what the scheduler gives, as sums depend on their number. `auto`
    is the GPU where there is one, and bfloat16 where the device computes in it. Of encoded images,
    `workers` more threads decode the next ones; without any, a step waits for its own.
    """

    device: str = "auto"
    threads: int = 1
    workers: int = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise UserError(f"hardware.workers is {self.workers}, but must not be negative")
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and "LOCAL_RANK" in os.environ:  # one of several processes
            device = f"cuda:{os.environ['LOCAL_RANK']}"
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"hardware.device is {device!r}, which this machine has not ({reason}); "
                "set it to auto or cpu"
            ) from error
        if device.startswith("cuda:"):
            torch.cuda.set_device(device)  # what processes send each other goes by it
        object.__setattr__(self, "device", device)
        if self.precision == "auto":
            fast = torch.cuda.is_bf16_supported() if device != "cpu" else _cpu_has_bfloat16()
            object.__setattr__(self, "precision", "bfloat16" if fast else "float32")
        torch.set_num_threads(self.threads)
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        # cuDNN's and cuBLAS's fastest choices differ from run to run.
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False

    def autocast(self) -> AbstractContextManager[None]:
        """Compute in `precision` inside this context."""
        device = torch.device(self.device).type
        return torch.autocast(device, torch.bfloat16, enabled=self.precision == "bfloat16")

    def move(self, module: nn.Module) -> nn.Module:
        """`module`, on the device. Channels come last: 1.5 times as fast, on CPUs too."""
        return module.to(self.device).to(memory_format=torch.channels_last)

    def hold(self, images: Images) -> Images:
        """The images on the device, where they fit beside a model; otherwise where they are."""
        if self.device == "cpu" or isinstance(images.image, CompressedImages):
            return images
        free = torch.cuda.mem_get_info()[0] if self.device.startswith("cuda") else 0
        fits = images.image.nbytes < free / 2
        return Images(*(t.to(self.device) for t in images)) if fits else images

    def pixels(self, image: Tensor | CompressedImages) -> Tensor:
        """uint8 (B, C, H, W), wherever it lies -> [0, 1] (B, C, H, W) on the device."""
        return image.to(self.device, non_blocking=True).to(torch.float32) / 255


def _cpu_has_bfloat16() -> bool:
    """Does the CPU multiply in bfloat16 (AVX512-BF16 or AMX)? Elsewhere it is slower."""
    return getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()


def keep_memory() -> None:
    """Keep freed memory for the next step: 1.5 times as many views/s on a CPU (tests/bench).

    Not blocks of 128 MiB or more, such as the similarities of very large batches: kept, a step of
    SimCLR with batch 4096 took 0.9 GiB more.
    """
    if sys.platform == "linux":
        libc, trim, mmap = ctypes.CDLL(None), -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
        if hasattr(libc, "mallopt"):
            libc.mallopt(mmap, 1 << 27)
            libc.mallopt(trim, (1 << 31) - 1)
