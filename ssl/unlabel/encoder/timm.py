"""Any network of timm."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from unlabel.augment import Size
from unlabel.data.images import Data
from unlabel.encoder import Moments
from unlabel.encoder._network import Network, resized
from unlabel.errors import UserError, did_you_mean, reason
from unlabel.ranges import Count


class Timm(Network):
    """A network of timm by its name, without its classifier.

    The features are timm's own, before the classifier: pooled maps, or a class token.
    """

    def __init__(self, data: Data, model: str | None = None, resize: Count | None = None):
        size = resized((data.shape[1], data.shape[2]), resize)
        net = _made(_named(model), len(data.mean), size)
        super().__init__(data, net, int(net.num_features), resize)
        self.pools = getattr(net, "head_hidden_size", self.dim) == self.dim

    @classmethod
    def check(cls, settings: Mapping[str, Any], size: Size, seen: Iterable[Size]) -> None:
        _named(settings["model"])

    @classmethod
    def recorded(cls, settings: Mapping[str, Any]) -> Moments | None:
        config = _library().get_pretrained_cfg(_named(settings["model"]))
        return config and (tuple(config.mean), tuple(config.std))

    @classmethod
    def published(cls, settings: Mapping[str, Any]) -> tuple[dict[str, Tensor], Moments | None]:
        model = _named(settings["model"])
        try:
            net = _library().create_model(model, pretrained=True, num_classes=0)
        except Exception as error:  # of the network, of its libraries, or of timm
            raise UserError(
                f"timm's weights of {model} cannot be had ({reason(error)}); name a file of them, "
                "as encoder.weights=FILE in data/weights, or start again with a network connection"
            ) from error
        return net.state_dict(), cls.recorded(settings)

    def _pooled(self, x: Tensor) -> Tensor:
        if not self.pools:  # what follows the pooling has another length
            return super()._pooled(x)
        h: Tensor = self.net(self.normalise(x))
        return h

    def maps(self, x: Tensor) -> Tensor:
        x = self.normalise(x)
        h: Tensor = self.net.forward_features(x)  # type: ignore[operator]
        if h.ndim == 4:
            return h if h.shape[1] == self.dim else h.permute(0, 3, 1, 2)
        if h.ndim != 3:
            return h.flatten(1)[:, :, None, None]
        patches = h[:, getattr(self.net, "num_prefix_tokens", 0) :].mT
        height = round((patches.shape[2] * x.shape[2] / x.shape[3]) ** 0.5)
        return patches.unflatten(2, (height, -1))


def _library() -> Any:
    """timm. Raises `UserError` if it is not installed."""
    try:
        import timm
    except ImportError as error:
        raise UserError("encoder=timm needs timm: pip install -e '.[timm]'") from error
    return timm


def _named(model: str | None) -> str:
    """The name of a network. Raises `UserError` if timm has none of that name."""
    known = _library().list_models()
    if model is None:
        raise UserError("encoder.model is null; name a network of timm, as encoder.model=resnet50")
    name, _, weights = model.partition(".")
    if name not in known:
        raise UserError(f"encoder.model is {model!r}; {did_you_mean(model, known)}")
    tags = _library().list_models(f"{name}.*", include_tags=True) if weights else []
    if weights and model not in tags:
        raise UserError(f"encoder.model is {model!r}; {did_you_mean(model, [name, *tags])}")
    return model


def _made(model: str, channels: int, size: Size) -> Any:
    """The network for images of a size, if its family must know that, and of other sizes."""
    options: dict[str, Any] = {"num_classes": 0, "in_chans": channels}
    for sized in ({"img_size": size, "dynamic_img_size": True}, {"img_size": size}, {}):
        try:
            return _library().create_model(model, **options, **sized)
        except TypeError:  # it does not take these
            if not sized:
                raise
        except (AssertionError, ValueError) as error:
            raise UserError(
                f"timm's {model} cannot see images of {size[0]} x {size[1]} pixels "
                f"({reason(error)}); set encoder.resize to a size that it can"
            ) from error
    raise AssertionError
