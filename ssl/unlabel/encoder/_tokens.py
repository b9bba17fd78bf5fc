"""What encoders that cut images into patches have besides: access to their tokens."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from unlabel.encoder import Encoder


class Tokens(Encoder):
    """An encoder of square images, which it cuts into N = `grid`² patches of `patch` pixels a side.

    A subclass defines `_tokens`, `_blocks`, `projection` and, if they are not the mean of the patch
    tokens, the features that `pooled` makes.
    """

    patch: int
    grid: int

    def tokens(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """The class token and the N patch tokens: (B, C, H, W) -> (B, 1 + N, D).

        With patch indices `keep` (B, K), the encoder sees only these patches: -> (B, 1 + K, D).
        """
        return self.in_chunks(self._tokens, *((x,) if keep is None else (x, keep)))

    def masked(self, x: Tensor, mask: Tensor, token: Tensor) -> Tensor:
        """The same tokens, but `token` (D,) takes the place of each patch in the mask (B, N)."""
        return self.in_chunks(lambda x, mask: self._tokens(x, mask=mask, token=token), x, mask)

    def layers(self, x: Tensor) -> Tensor:
        """The tokens after each of L layers: (B, C, H, W) -> (B, L, 1 + N, D)."""
        return self.in_chunks(self._layers, x)

    def pooled(self, tokens: Tensor) -> Tensor:
        """The features that tokens make, as `forward` does: (B, 1 + K, D) -> (B, D)."""
        return tokens[:, 1:].mean(1)

    def projection(self) -> nn.Module:
        """The layer that makes a token of each patch."""
        raise NotImplementedError

    def _tokens(
        self,
        x: Tensor,
        keep: Tensor | None = None,
        mask: Tensor | None = None,
        token: Tensor | None = None,
    ) -> Tensor:
        """The tokens of all patches or of `keep`, with `token` in the place of a `mask`'s."""
        raise NotImplementedError

    def _blocks(self) -> Iterable[nn.Module]:
        """The L layers."""
        raise NotImplementedError

    def _with_first(self, tokens: Tensor) -> Tensor:
        """What a layer makes, as one class token and the patch tokens: -> (B, 1 + N, D)."""
        return tokens

    def _layers(self, x: Tensor) -> Tensor:
        after: list[Tensor] = []
        hooks = [
            block.register_forward_hook(
                lambda _block, _inputs, output: after.append(self._with_first(output))
            )
            for block in self._blocks()
        ]
        try:
            self._tokens(x)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack(after, 1)
