"""What the losses of at least two methods share: pure functions of tensors."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cosine_similarities(a: Tensor, b: Tensor) -> Tensor:
    """All pairs of vectors (N, D) and (M, D) -> (N, M), in float32 whatever autocast does.

    bfloat16 has 8 bits: divided by a temperature, its error would be as large as the differences.
    """
    with torch.autocast(a.device.type, enabled=False):
        return F.normalize(a.float(), dim=1) @ F.normalize(b.float(), dim=1).T


@torch.no_grad()
def retrieval(logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    """How well a contrastive loss finds each positive: logits (B, K), its place (B,) -> scalars.

    The share of queries whose positive is the most similar of all, and the lower bound log N - L
    on the mutual information of the views in nats (arXiv:1807.03748, section 2.3), N being the
    number of finite logits in a row.
    """
    candidates = logits.isfinite().sum(1).float().mean()
    return {
        "contrastive_accuracy": (logits.argmax(1) == target).float().mean(),
        "mutual_information_bound": candidates.log() - F.cross_entropy(logits, target),
    }
