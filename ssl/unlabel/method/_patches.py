"""What methods that hide patches of an image share."""

from typing import TYPE_CHECKING, NamedTuple, cast

from torch import Tensor, nn

from unlabel.augment.tiles import take
from unlabel.encoder import Encoder
from unlabel.errors import UserError
from unlabel.method import Method, Settings
from unlabel.nn.layers import Norm, Prototypes, Teacher, mlp

if TYPE_CHECKING:
    from unlabel.encoder._tokens import Tokens


class PatchMethod(Method):
    """A method whose encoder must cut images into patches."""

    encoder: "Tokens"

    @classmethod
    def needs_patches(cls, settings: Settings) -> bool:
        return True


def with_patches(encoder: Encoder, method: str) -> "Tokens":
    """The encoder, which has patches. Raises `UserError` if it has none."""
    if not encoder.patches:
        name = type(encoder).__name__
        raise UserError(f"{method} needs an encoder with patches, not {name}; set encoder=vit_mini")
    return cast("Tokens", encoder)


def copied(teacher: Teacher) -> "Tokens":
    """The teacher's copy of an encoder with patches. Call it without gradients."""
    return cast("Tokens", teacher.module)


def count_hidden(encoder: "Tokens", share: float) -> int:
    """How many patches `method.hidden` hides. Raises `UserError` if that is none or all."""
    patches, hidden = encoder.grid**2, round(encoder.grid**2 * share)
    if not 0 < hidden < patches:
        raise UserError(f"method.hidden is {share}; hide some of {patches} patches, not all")
    return hidden


def chosen(tokens: Tensor, mask: Tensor, hidden: int) -> Tensor:
    """The tokens (B, N, D) in a mask (B, N) of M = `hidden` patches an image -> (B, M, D)."""
    # A GPU would have to wait for the number of tokens in `tokens[mask]`.
    place = mask.byte().argsort(dim=1, descending=True, stable=True)[:, :hidden]
    return take(tokens, place)


class Scores(NamedTuple):
    """Of a view: similarities with the prototypes, and features."""

    image: Tensor  # (B, K)
    patches: Tensor  # of the M patches in the mask (B * M, K)
    h: Tensor  # (B, D)


class TokenScores(nn.Module):
    """An encoder and its heads. If there is a token, it hides the M patches in the mask."""

    def __init__(
        self,
        encoder: "Tokens",
        hidden: int,  # M
        width: int,
        dim: int,
        prototypes: int,
        norm: bool,
        shared: bool,
    ):
        super().__init__()
        self.hidden = hidden

        def head() -> nn.Sequential:
            kind: Norm = "batch" if norm else "none"
            project = mlp(encoder.dim, width, width, dim, norm=kind, activation=nn.GELU)
            return nn.Sequential(project, Prototypes(dim, prototypes))

        self.encoder, self.head = encoder, head()
        self.patch_head = self.head if shared else head()

    def forward(self, x: Tensor, mask: Tensor, token: Tensor | None = None) -> Scores:
        see = self.encoder
        tokens = see.tokens(x) if token is None else see.masked(x, mask, token)
        h, patches = see.pooled(tokens), chosen(tokens[:, 1:], mask, self.hidden).flatten(0, 1)
        return Scores(self.head(h), self.patch_head(patches), h)
