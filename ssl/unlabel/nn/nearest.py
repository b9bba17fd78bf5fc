"""Nearest neighbours by cosine similarity, and their vote on a class."""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 32  # the size of the groups that are searched for neighbours
CHUNK = 1 << 17  # rows of a bank that are compared at a time, so that memory does not grow with it
Bank = tuple[Tensor, Tensor | None]  # vectors (N, D), and their lengths (N,) if they are not 1


def nearest(
    query: Tensor, bank: Tensor, k: int, length: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The k largest products: (B, D), (N, D) -> their values and their rows in the bank, (B, k).

    If the lengths (N,) of the bank's rows are given, products are divided by them. So a large bank
    needs no normalised copy.
    The k largest numbers are in the k groups with the largest maxima. So only the members of these
    groups are compared, which is three times as fast as comparing all.
    """
    product = query @ bank.T  # (B, N)
    if length is not None:
        product /= length
    groups = len(bank) // GROUP
    whole = groups * GROUP
    row = torch.arange(len(bank), device=bank.device)
    maxima = product[:, :whole].view(len(query), GROUP, groups).amax(1)
    best = maxima.topk(min(k, groups)).indices  # (B, k); a group's members are `groups` rows apart
    members = (best[:, None] + row[:whole].view(GROUP, groups)[:, :1]).flatten(1)
    candidates = torch.cat([members, row[whole:].expand(len(query), -1)], 1)
    values, place = product.gather(1, candidates).topk(k)
    return values, candidates.gather(1, place)


def most_similar(query: Tensor, banks: Iterable[Bank], k: int, block: int) -> tuple[Tensor, Tensor]:
    """The k vectors of all banks that are most similar to each query (M, D), by the cosine.

    Their similarities and their rows, as if the banks were one: (M, k) each, or all if there are
    fewer. One bank is there at a time, and `block` queries are compared with it at a time.
    """
    values, rows = query.new_empty(len(query), 0), query.new_empty(len(query), 0, dtype=torch.long)
    start = 0
    for bank, length in banks:
        parts = (F.normalize(part, dim=1) for part in query.split(block))
        found = [nearest(part, bank, min(k, len(bank)), length) for part in parts]
        near, at = (torch.cat(each) for each in zip(*found, strict=True))
        if start:
            near, at = torch.cat([values, near], 1), torch.cat([rows, at + start], 1)
            near, best = near.topk(min(k, near.shape[1]))
            at = at.gather(1, best)
        values, rows, start = near, at, start + len(bank)
    return values, rows


def units(x: Tensor) -> Iterator[Bank]:
    """Vectors (N, D) as banks of unit vectors."""
    return ((F.normalize(part, dim=1), None) for part in x.split(CHUNK))


def vote(bank: Tensor, label: Tensor, query: Tensor, k: int, temperature: float) -> Tensor:
    """The class of each query: bank (N, D), its labels (N,), queries (M, D) -> (M,).

    Each of the k nearest has the weight exp(s / T), s being the cosine similarity
    (arXiv:1805.01978, section 3.4). Rows of the bank with a negative label have no vote.
    """
    labels = label[label >= 0]
    k, classes = min(k, len(labels)), int(labels.max()) + 1
    # Blocks of queries bound the memory. On a CPU their similarities should fit the cache, but of
    # fewer queries the product is slower: for a bank of 60,000, of 64 by a quarter.
    most = 1 << (22 if bank.device.type == "cpu" else 27)
    block = max(192, most // min(len(labels), CHUNK))
    similarity, index = most_similar(query, _voters(bank, label), k, block)
    votes = []
    for near, rows in zip(similarity.split(block), index.split(block), strict=True):
        weight = (near / temperature).exp()
        one_hot = F.one_hot(labels[rows], classes).to(weight)  # (B, k, classes)
        votes.append((weight[:, None] @ one_hot).squeeze(1).argmax(1))
    return torch.cat(votes)


def _voters(bank: Tensor, label: Tensor) -> Iterator[Bank]:
    """Those with a label, and their lengths."""
    for part, of in zip(bank.split(CHUNK), label.split(CHUNK), strict=True):
        known = part if (of >= 0).all() else part[of >= 0]
        if len(known):
            yield known, known.norm(dim=1).clamp(min=1e-12)
