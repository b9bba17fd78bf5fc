"""What methods that hide patches of an image share."""

from typing import TYPE_CHECKING, cast

from torch import Tensor

from unlabel.encoder import Encoder
from unlabel.errors import UserError
from unlabel.nn.layers import Teacher

if TYPE_CHECKING:
    from unlabel.encoder.vit import ViT


def with_patches(encoder: Encoder, method: str) -> "ViT":
    """The encoder, which has patches. Raises `UserError` if it has none."""
    if not hasattr(encoder, "tokens"):
        name = type(encoder).__name__
        raise UserError(f"{method} needs an encoder with patches, not {name}; set encoder=vit_mini")
    return cast("ViT", encoder)


def copied(teacher: Teacher) -> "ViT":
    """The teacher's copy of an encoder with patches. Call it without gradients."""
    return cast("ViT", teacher.module)


def count_hidden(encoder: "ViT", share: float) -> int:
    """How many patches `method.hidden` hides. Raises `UserError` if that is none or all."""
    patches, hidden = encoder.grid**2, round(encoder.grid**2 * share)
    if not 0 < hidden < patches:
        raise UserError(f"method.hidden is {share}; hide some of {patches} patches, not all")
    return hidden


def chosen(tokens: Tensor, mask: Tensor) -> Tensor:
    """The tokens (B, N, D) in a mask (B, N) of M patches an image -> (B, M, D)."""
    return tokens[mask].unflatten(0, (len(tokens), -1))
