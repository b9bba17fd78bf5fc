"""A residual network of 0.08 M parameters for small images on a CPU."""

import torch.nn.functional as F
from torch import Tensor, nn

from unlabel.encoder import Encoder
from unlabel.images import Data


class ResNetMini(Encoder):
    """Three residual blocks (arXiv:1512.03385, section 3) behind a 3x3 stem of stride 2.

    With width 16 the features are 64 numbers long and a 28x28 image ends as a map of 4x4.
    """

    def __init__(self, data: Data, width: int = 16):
        super().__init__(data)
        self.dim = 4 * width
        self.stem = _convolution(data.shape[0], width, 3, 2)
        self.blocks = nn.Sequential(
            _Block(width, width, 1), _Block(width, 2 * width, 2), _Block(2 * width, 4 * width, 2)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def maps(self, x: Tensor) -> Tensor:
        h: Tensor = self.blocks(F.relu(self.stem(self.normalise(x))))
        return h


class _Block(nn.Module):
    """relu(convolve(relu(convolve(x))) + shortcut(x))"""

    def __init__(self, dim: int, out: int, stride: int):
        super().__init__()
        self.first = _convolution(dim, out, 3, stride)
        self.second = _convolution(out, out, 3)
        same = dim == out and stride == 1
        self.shortcut = nn.Identity() if same else _convolution(dim, out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def _convolution(dim: int, out: int, size: int, stride: int = 1) -> nn.Sequential:
    """A convolution followed by batch norm."""
    convolve = nn.Conv2d(dim, out, size, stride, size // 2, bias=False)
    return nn.Sequential(convolve, nn.BatchNorm2d(out))
