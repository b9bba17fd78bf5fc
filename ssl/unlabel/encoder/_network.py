"""An encoder around a network of timm, of torchvision or of one's own."""

from collections.abc import MutableMapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.data.images import Data
from unlabel.encoder import Encoder

NET = "net."


class Network(Encoder):
    """Wraps a network `net`, whose parameters keep their names in the encoder's file.

    With `resize`, images are resized first, so that their shorter side has that many pixels.
    """

    def __init__(self, data: Data, net: nn.Module, dim: int, resize: int | None):
        super().__init__(data)
        self.net, self.dim, self.resize = net, dim, resize
        self.register_state_dict_post_hook(_strip)
        self.register_load_state_dict_pre_hook(_add)

    def seen(self, x: Tensor) -> Tensor:
        """What the network sees of images in [0, 1]: (B, C, H, W) -> (B, C, *size)."""
        size = resized((x.shape[2], x.shape[3]), self.resize)
        if size != (x.shape[2], x.shape[3]):
            x = F.interpolate(x, size, mode="bilinear", antialias=True)
        return self.normalise(x)


def resized(size: tuple[int, int], resize: int | None) -> tuple[int, int]:
    """The size of images whose shorter side is made `resize` pixels long."""
    if resize is None:
        return size
    short = min(size)
    return round(size[0] * resize / short), round(size[1] * resize / short)


def first_layer(net: nn.Module, channels: int) -> None:
    """Replace a network's first convolution by a new one, unless it sees so many channels."""
    name, layer = next((n, m) for n, m in net.named_modules() if isinstance(m, nn.Conv2d))
    if layer.in_channels != channels:
        new = nn.Conv2d(
            channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            layer.padding,  # type: ignore[arg-type]
            layer.dilation,  # type: ignore[arg-type]
            bias=layer.bias is not None,
        )
        net.set_submodule(name, new)


def _strip(_: nn.Module, state: MutableMapping[str, Any], prefix: str, *__: Any) -> None:
    """Take `net.` off the names in a state."""
    for key in [key for key in state if key.startswith(prefix + NET)]:
        state[prefix + key.removeprefix(prefix + NET)] = state.pop(key)


def _add(
    module: nn.Module, state: MutableMapping[str, Any], prefix: str, *__: Any, **___: Any
) -> None:
    """Put `net.` before the names in a state."""
    for key in [key for key in state if key.startswith(prefix)]:
        state[prefix + NET + key.removeprefix(prefix)] = state.pop(key)
