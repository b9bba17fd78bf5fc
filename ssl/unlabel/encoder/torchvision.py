"""Any image classifier of torchvision."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import torch
import torchvision.models as models
from torch import Tensor, nn

from unlabel.augment import Size
from unlabel.data.images import Data
from unlabel.encoder import Moments
from unlabel.encoder._network import Network, first_layer, resized
from unlabel.errors import UserError, did_you_mean, reason
from unlabel.ranges import Count


class Torchvision(Network):
    """A classifier of torchvision by its name, without its last layer.

    The features are what that layer saw. For residual networks with a stem for small images, see
    `unlabel.encoder.resnet`.
    """

    def __init__(self, data: Data, model: str = "resnet18", resize: Count | None = None):
        size = resized((data.shape[1], data.shape[2]), resize)
        net = _made(_named(model), size)
        layers = [(n, m) for n, m in net.named_modules() if isinstance(m, nn.Linear)]
        if not layers:
            raise UserError(
                f"torchvision's {model} does not end in a linear layer, before which its features "
                "are; choose another encoder.model"
            )
        name, last = layers[-1]
        net.set_submodule(name, nn.Identity())
        first_layer(net, len(data.mean))
        super().__init__(data, net, last.in_features, resize)

    @classmethod
    def check(cls, settings: Mapping[str, Any], size: Size, seen: Iterable[Size]) -> None:
        model, resize = _named(settings["model"]), settings["resize"]
        for height, width in (resized(each, resize) for each in seen):
            if why := _unseen(model, resized(size, resize), (height, width)):
                raise UserError(
                    f"torchvision's {model} cannot see images of {height} x {width} pixels, as the "
                    f"method gives it ({why}); set encoder.resize, as encoder.resize=224 for "
                    "square images, or choose another encoder.model"
                )

    @classmethod
    def recorded(cls, settings: Mapping[str, Any]) -> Moments | None:
        transforms = models.get_model_weights(settings["model"]).DEFAULT.transforms()
        return tuple(transforms.mean), tuple(transforms.std)

    @classmethod
    def published(cls, settings: Mapping[str, Any]) -> tuple[dict[str, Tensor], Moments | None]:
        model = _named(settings["model"])
        weights = models.get_model_weights(model).DEFAULT
        try:
            tensors = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except Exception as error:
            raise UserError(
                f"torchvision's weights of {model} cannot be had from {weights.url} "
                f"({reason(error)}); fetch them elsewhere and put them into data/weights, or start "
                "again with a network connection"
            ) from error
        return without_last_layer(tensors), cls.recorded(settings)

    def _pooled(self, x: Tensor) -> Tensor:
        h: Tensor = self.net(self.seen(x))
        return h

    def maps(self, x: Tensor) -> Tensor:
        x = self.seen(x)
        if isinstance(self.net, models.ResNet):
            for name, part in self.net.named_children():
                if name == "avgpool":
                    break
                x = part(x)
            return x
        if isinstance(features := getattr(self.net, "features", None), nn.Sequential):
            h: Tensor = features(x)
            if h.ndim == 4 and h.shape[1] == self.dim:
                return h
            x = h if h.ndim != 4 else x
        return self.net(x)[:, :, None, None]


def without_last_layer(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A network's tensors without those of its classifier, which may have a bias or none."""
    last = list(tensors)[-1].rpartition(".")[0]
    return {k: v for k, v in tensors.items() if k.rpartition(".")[0] != last}


def _made(model: str, size: Size) -> nn.Module:
    """The network; a vision transformer for images of a size, since its weights depend on that."""
    sized = {"image_size": size[0]} if model.startswith("vit_") else {}
    net: nn.Module = models.get_model(model, weights=None, **sized)
    return net


@cache
def _unseen(model: str, size: Size, seen: Size) -> str:
    """Why a network that was made for images of a `size` cannot see others; empty if it can.

    It is made and run without numbers, in less than a second.
    """
    try:
        with torch.device("meta"), torch.no_grad():
            _made(model, size).eval()(torch.empty(2, 3, *seen))
    except NotImplementedError:  # RegNets need numbers, but they see images of any size
        return ""
    except (AssertionError, RuntimeError, ValueError) as error:
        return reason(error)
    return ""


def _named(model: str) -> str:
    """The name of a network. Raises `UserError` if torchvision has none of that name.

    GoogLeNet and Inception are left out: while they train they give several outputs, and their
    published weights need images of another scale.
    """
    known = models.list_models(module=models, exclude=["googlenet", "inception_v3"])
    if model not in known:
        raise UserError(f"encoder.model is {model!r}; {did_you_mean(model, known)}")
    return model
