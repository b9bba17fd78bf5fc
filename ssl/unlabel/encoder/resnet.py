"""torchvision's residual networks."""

from typing import Literal

import torchvision
from torch import Tensor, nn

from unlabel.data.images import Data
from unlabel.encoder import Encoder

SMALL = 64  # pixels; up to this size the stem keeps the resolution, as in CIFAR recipes


class ResNet(Encoder):
    """Deep Residual Learning for Image Recognition (arXiv:1512.03385), without its classifier.

    Up to 64 pixels, the stem is a 3x3 convolution with stride 1 and there is no pooling.
    """

    def __init__(self, data: Data, depth: Literal[18, 50] = 18):
        super().__init__(data)
        net = torchvision.models.get_model(f"resnet{depth}", weights=None)
        channels, small = len(data.mean), max(data.shape[1:]) <= SMALL
        self.dim = net.fc.in_features
        size, stride = (3, 1) if small else (7, 2)
        net.conv1 = nn.Conv2d(channels, 64, size, stride, size // 2, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        net.maxpool = nn.Identity() if small else net.maxpool
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            self.add_module(name, getattr(net, name))

    def maps(self, x: Tensor) -> Tensor:
        h = self.normalise(x)
        for part in self.children():
            h = part(h)
        return h
