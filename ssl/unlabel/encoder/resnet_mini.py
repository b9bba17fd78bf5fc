"""A residual network of 0.07 M parameters for small images on a CPU."""

import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.data.images import Data
from unlabel.encoder import Encoder
from unlabel.nn.layers import Norm, convolution, norms
from unlabel.ranges import Count


class ResNetMini(Encoder):
    """Two residual blocks (arXiv:1512.03385, section 3) after a 3x3 stem with stride 2.

    With width 16, there are 64 features, and a 28x28 image gives a 4x4 feature map.
    """

    def __init__(self, data: Data, width: Count = 16, norm: Norm = "batch"):
        super().__init__(data)
        self.dim = 4 * width
        self.stem = _convolution(norm, len(data.mean), width, 3, 2)
        self.blocks = nn.Sequential(
            _Block(norm, width, 2 * width, 2),
            _Block(norm, 2 * width, 4 * width, 2),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def maps(self, x: Tensor) -> Tensor:
        h: Tensor = self.blocks(F.relu(self.stem(self.normalise(x)), inplace=True))
        return h


class _Block(nn.Module):
    """relu(convolve(relu(convolve(x))) + shortcut(x))"""

    def __init__(self, norm: Norm, dim: int, out: int, stride: int):
        super().__init__()
        self.first = _convolution(norm, dim, out, 3, stride)
        self.second = _convolution(norm, out, out, 3)
        same = dim == out and stride == 1
        self.shortcut = nn.Identity() if same else _convolution(norm, dim, out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.second(F.relu(self.first(x), inplace=True))
        return F.relu(h.add_(self.shortcut(x)), inplace=True)


def _convolution(norm: Norm, dim: int, out: int, size: int, stride: int = 1) -> nn.Sequential:
    """A convolution and a norm, if there is one."""
    return nn.Sequential(convolution(norm, dim, out, size, stride), *norms(norm, out, maps=True))
