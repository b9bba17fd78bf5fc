"""Pure functions of tensors that the losses of at least two methods share."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.metric import Metric
from unlabel.nn.distributed import gather, local_rows

RETRIEVAL = (  # what `retrieval` returns
    Metric("contrastive_accuracy", "contrastive accuracy", share=True, better="higher"),
    Metric("mutual_information_bound", "mutual information bound", unit="nats"),
)


def cosine_similarities(a: Tensor, b: Tensor) -> Tensor:
    """Of all pairs of vectors (N, D) and (M, D) -> (N, M), in float32 even under autocast.

    bfloat16 has 8 bits. Divided by a temperature, its error would be as large as the differences.
    """
    with torch.autocast(a.device.type, enabled=False):
        return F.normalize(a.float(), dim=1) @ F.normalize(b.float(), dim=1).T


def info_nce(
    q: Tensor, k: Tensor, temperature: float, negatives: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """InfoNCE (arXiv:1807.03748, equation 4) as a classification: which key is a query's own?

    Queries and their keys (B, D), negatives (K, D) -> logits (B, 1 + K), the right class 0 (B,).
    Without `negatives`, a query's negatives are the keys of the other queries -> (B, B), class i.
    Each of several processes then has the rows of its own queries, and the columns of all keys.
    The logits are cosine similarities / T, in float32.
    """
    if negatives is None:
        k = gather(k)
        target = local_rows(torch.arange(len(k), device=q.device))
        return cosine_similarities(q, k) / temperature, target
    positive = F.cosine_similarity(q.float(), k.float()).unsqueeze(1)
    logits = torch.cat([positive, cosine_similarities(q, negatives)], 1) / temperature
    return logits, torch.zeros(len(q), dtype=torch.long, device=q.device)


def cross_prediction(logits: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Predict each target from all views but its own: the mean cross-entropy -> ().

    `logits` has all views, `targets` the probabilities of the first views, (B, K) each. These are
    equations 1, 2 and 6 of SwAV (arXiv:2006.09882) and equation 3 of DINO (arXiv:2104.14294), with
    means instead of sums.
    """
    pairs = [(p, q) for i, q in enumerate(targets) for v, p in enumerate(logits) if v != i]
    return torch.stack([F.cross_entropy(p, q) for p, q in pairs]).mean()


@torch.no_grad()
def retrieval(logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    """How well a contrastive loss finds each positive: logits (B, K), its place (B,) -> scalars.

    The share of queries whose positive is the most similar key, and the lower bound log N - L on
    the mutual information of the views in nats (arXiv:1807.03748, section 2.3). N is the number of
    finite logits in a row. It is a bound if all candidates are keys of the same network.
    """
    candidates = (logits > -torch.inf).sum(1, dtype=torch.int32).float().mean()
    return {
        "contrastive_accuracy": (logits.argmax(1) == target).float().mean(),
        "mutual_information_bound": candidates.log() - F.cross_entropy(logits, target),
    }


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """SwAV, equations 3 to 5: similarities with prototypes (B, K) -> codes (B, K); rows sum to 1."""
    log_q = scores.float() / epsilon
    for _ in range(iterations):
        log_q = log_q.log_softmax(0).log_softmax(1)
    return log_q.exp()
