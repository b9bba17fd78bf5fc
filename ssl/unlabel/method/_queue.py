"""How long a queue of earlier batches may be."""

import torch
from torch import Tensor

from unlabel.method import Settings
from unlabel.nn.distributed import gather, local_rows
from unlabel.nn.losses import cosine_similarities


def fitted(settings: Settings, images: int, batch: int, least: int = 0) -> Settings:
    """`settings` with a `queue` of no more keys than there are images outside of a batch.

    A longer one would hold an older key of each image, as a negative of itself; a shorter one holds
    those of some, as each epoch has an order of its own. It is a number of whole batches, and
    `least` of them if there are too few images.
    """
    longest = max(max(images - batch, 0) // batch, least) * batch
    if settings["queue"] <= max(images - batch, longest):
        return settings
    return {**settings, "queue": longest}


def similarities(q: Tensor, queue: Tensor, own: Tensor) -> Tensor:
    """Cosines of queries and queues in S spaces: (S, B, d), (S, K, d) -> (S, B, K).

    Without a queue, those of each query and the others' keys; `own` are the queries' keys
    (S, B, d) -> (S, B, B), in which a query and its own key have -inf.
    """
    keys = queue if queue.shape[1] else gather(own.transpose(0, 1)).transpose(0, 1)
    found = torch.stack([cosine_similarities(a, b) for a, b in zip(q, keys, strict=True)])
    if queue.shape[1]:
        return found
    return found.masked_fill(local_rows(torch.eye(keys.shape[1], device=q.device)) > 0, -torch.inf)
