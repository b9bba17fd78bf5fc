"""Tensors of a file matched with the tensors of a network."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor

from unlabel.encoder._files import Tensors
from unlabel.encoder._resizing import resized, with_channels

PREFIXES = ("module.", "backbone.", "encoder.", "teacher.", "model.", "net.", "_orig_mod.")
COUNTER = "num_batches_tracked"  # of batch norm, which uses it for nothing; older files lack it
SHOWN = 3  # names of each kind that a sentence has
# Names of other files in torchvision's: the vision transformers of timm, DeiT, DINO, MAE and MoCo
# v3, and the densenets that torchvision itself publishes.
OTHERS = (
    (r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2."),
    (r"^cls_token$", "class_token"),
    (r"^pos_embed$", "encoder.pos_embedding"),
    (r"^patch_embed\.proj\.", "conv_proj."),
    (r"^norm\.", "encoder.ln."),
    (r"^blocks\.(\d+)\.norm([12])\.", r"encoder.layers.encoder_layer_\1.ln_\2."),
    (r"^blocks\.(\d+)\.attn\.qkv\.", r"encoder.layers.encoder_layer_\1.self_attention.in_proj_"),
    (r"^blocks\.(\d+)\.attn\.proj\.", r"encoder.layers.encoder_layer_\1.self_attention.out_proj."),
    (r"^blocks\.(\d+)\.mlp\.fc1\.", r"encoder.layers.encoder_layer_\1.mlp.0."),
    (r"^blocks\.(\d+)\.mlp\.fc2\.", r"encoder.layers.encoder_layer_\1.mlp.3."),
)


class Match(NamedTuple):
    """What a file gives a network, and what does not fit."""

    tensors: Tensors  # by the network's names, in its shapes
    missing: list[str]  # names of the network that the file lacks
    unused: list[str]  # names of the file that the network lacks
    shape: list[str]  # names with both shapes
    changed: list[str]  # what was resized


def by_name(found: Tensors, network: Mapping[str, Tensor], channels: int | None = None) -> Match:
    """Match tensors by their names, without common prefixes.

    With `channels`, a convolution that lacks just these gets them: see `with_channels`.
    """
    matched, unused = dict[str, Tensor](), list[str]()
    for key, tensor in found.items():
        name = next((each for each in _names(key) if each in network), None)
        if name is None or name in matched:
            unused.append(key)
        else:
            matched[name] = tensor
    return _fitted(matched, unused, network, channels)


def in_order(found: Tensors, network: Mapping[str, Tensor], channels: int | None = None) -> Match:
    """Match the n-th tensor of the file with the n-th of the network, whatever their names.

    `channels` are as in `by_name`.
    """
    there = [name for name in found if not name.endswith(COUNTER)]
    here = [name for name in network if not name.endswith(COUNTER)]
    pairs = dict(zip(here, there, strict=False))
    matched = {name: found[other] for name, other in pairs.items()}
    return _fitted(matched, there[len(here) :], network, channels)


def _fitted(
    matched: Tensors, unused: list[str], network: Mapping[str, Tensor], channels: int | None
) -> Match:
    match = Match({}, [], [each for each in unused if not each.endswith(COUNTER)], [], [])
    for name, wanted in network.items():
        if name not in matched:
            if not name.endswith(COUNTER):
                match.missing.append(name)
            continue
        given = matched[name]
        if given.ndim == wanted.ndim == 4 and given.shape[1] != wanted.shape[1] == channels:
            given = with_channels(given, channels)
        fitting = resized(name, given, wanted.shape)
        if fitting is None:
            both = f"{_size(matched[name])} in the file, {_size(wanted)} here"
            match.shape.append(f"{name} ({both})")
            continue
        if fitting is not matched[name]:
            match.changed.append(f"{name} from {_size(matched[name])} to {_size(wanted)}")
        match.tensors[name] = fitting
    return match


def _names(key: str) -> Iterator[str]:
    """What a tensor may be called here: with and without prefixes, and in torchvision's way."""
    while True:
        yield key
        for pattern, replacement in OTHERS:
            if (name := re.sub(pattern, replacement, key)) != key:
                yield name
        prefix = next((each for each in PREFIXES if key.startswith(each)), None)
        if prefix is None:
            return
        key = key.removeprefix(prefix)


def some(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
