"""Any network of timm."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from unlabel.augment import Size
from unlabel.augment.tiles import take
from unlabel.data.images import Data
from unlabel.encoder import Moments, _grid
from unlabel.encoder._network import Network, resized
from unlabel.encoder._tokens import Tokens
from unlabel.errors import UserError, did_you_mean, reason
from unlabel.nn.patches import attention
from unlabel.ranges import Count


class Timm(Network, Tokens):
    """A network of timm by its name, without its classifier.

    The features are timm's own, before the classifier: pooled maps, or a class token. A plain
    vision transformer has `tokens`; if it has no class token, the mean of the patch tokens stands
    for it. Register tokens are seen by the layers alone.
    """

    def __init__(self, data: Data, model: str | None = None, resize: Count | None = None):
        seen = resized((data.shape[1], data.shape[2]), resize)
        net = _made(_named(model), len(data.mean), seen)
        super().__init__(data, net, int(net.num_features), resize)
        self.pools = getattr(net, "head_hidden_size", self.dim) == self.dim
        height, width = data.shape[1:]
        self.plain = _is_plain(net)
        self.patches = self.plain and not _uncut(net, (height, width), resize)
        if self.patches:
            self.grid = seen[0] // net.patch_embed.patch_size[0]
            self.patch = height // self.grid

    @classmethod
    def check(cls, settings: Mapping[str, Any], size: Size, seen: Iterable[Size]) -> None:
        model = _named(settings["model"])
        net = _outline(model)
        if not _is_plain(net):
            return
        patch = net.patch_embed.patch_size[0]
        for height, width in (resized(each, settings["resize"]) for each in seen):
            if height % patch or width % patch:
                raise UserError(
                    f"timm's {model} cuts what it sees into patches of {patch} pixels, but the "
                    f"method gives it {height} x {width}; set encoder.resize to a multiple of "
                    f"{patch}, or choose images of other sizes"
                )

    @classmethod
    def without_patches(cls, settings: Mapping[str, Any], size: Size | None) -> str:
        model = _named(settings["model"])
        net = _outline(model)
        if not _is_plain(net):
            return f"timm's {model}, which is no plain vision transformer"
        return f"timm's {model} {why}" if (why := _uncut(net, size, settings["resize"])) else ""

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
        if self._has_other_grid(x):
            return self.pooled(self._tokens(x))
        if not self.pools:  # what follows the pooling has another length
            return super()._pooled(x)
        h: Tensor = self.net(self.seen(x))
        return h

    def pooled(self, tokens: Tensor) -> Tensor:
        if not self.pools:
            return super().pooled(tokens)
        net: Any = self.net
        if net.attn_pool is not None:
            h = net.attn_pool(tokens[:, 1:])
        else:
            h = _library().layers.global_pool_nlc(tokens, net.global_pool, num_prefix_tokens=1)
        h = net.head_drop(net.fc_norm(h))
        return h

    def projection(self) -> nn.Module:
        return self.net.get_submodule("patch_embed.proj")

    def _blocks(self) -> Iterable[nn.Module]:
        blocks: Any = self.net.blocks
        return list(blocks)

    def _with_first(self, tokens: Tensor) -> Tensor:
        first, patches = tokens.tensor_split([self._extra()], 1)
        has_class = getattr(self.net, "cls_token", None) is not None
        return torch.cat([first[:, :1] if has_class else patches.mean(1, True), patches], 1)

    def _extra(self) -> int:
        """How many tokens are before those of the patches."""
        count: Any = self.net.num_prefix_tokens
        return int(count)

    def _tokens(
        self,
        x: Tensor,
        keep: Tensor | None = None,
        mask: Tensor | None = None,
        token: Tensor | None = None,
    ) -> Tensor:
        net: Any = self.net
        h = net.patch_embed(self.seen(x))  # (B, N, D) or (B, h, w, D)
        if mask is not None and token is not None:
            h = torch.where(mask.view(*h.shape[:-1], 1), token.to(h.dtype), h)
        h = _grid.embedded(net, h)
        if keep is not None:
            first, patches = h.tensor_split([self._extra()], 1)
            h = torch.cat([first, take(patches, keep)], 1)
        with attention(x.device):
            h = net.blocks(net.norm_pre(h))
        return self._with_first(net.norm(h))

    def maps(self, x: Tensor) -> Tensor:
        if self._has_other_grid(x):
            patches = self._tokens(x)[:, 1:]
        else:
            h: Tensor = self.net.forward_features(self.seen(x))  # type: ignore[operator]
            if h.ndim == 4:
                return h if h.shape[1] == self.dim else h.permute(0, 3, 1, 2)
            if h.ndim != 3:
                return h.flatten(1)[:, :, None, None]
            patches = h[:, getattr(self.net, "num_prefix_tokens", 0) :]
        height, width = self._size(x)
        rows = round((patches.shape[1] * height / width) ** 0.5)
        return patches.mT.unflatten(2, (rows, -1))

    def _size(self, x: Tensor) -> Size:
        """How large the network sees images (B, C, H, W)."""
        return resized((x.shape[2], x.shape[3]), self.resize)

    def _has_other_grid(self, x: Tensor) -> bool:
        """Must the positions of a plain vision transformer be resized for these images?"""
        return self.plain and not _grid.is_made_for(self.net, self._size(x))


@cache
def _outline(model: str) -> Any:
    """A network without its weights."""
    with torch.device("meta"):
        return _library().create_model(model, num_classes=0)


def _is_plain(net: Any) -> bool:
    """Is it a vision transformer whose tokens see no patch but their own before its layers?

    Not one with two class tokens, nor one that pools more than one class token or the patches.
    """
    timm = _library()
    return (
        isinstance(net, timm.models.VisionTransformer)
        and type(net.patch_embed) is timm.layers.PatchEmbed
        and getattr(net, "dist_token", None) is None
        and not net.pool_include_prefix
        and net.patch_embed.patch_size[0] == net.patch_embed.patch_size[1]
    )


def _uncut(net: Any, size: Size | None, resize: int | None) -> str:
    """Why images of a size are not cut into a square of patches; empty if they are."""
    if size is None:
        return ""
    patch = net.patch_embed.patch_size[0]
    height, width = resized(size, resize)
    if height == width and height % patch == 0 and size[0] % (height // patch) == 0:
        return ""
    return (
        f"with patches of {patch} pixels and images of {size[0]} x {size[1]}, which it sees as "
        f"{height} x {width}: they must be square, with a whole number of pixels in each patch"
    )


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
