"""Nearest neighbours by cosine similarity, and their vote on a class."""

import torch
import torch.nn.functional as F
from torch import Tensor

GROUP = 32  # the size of the groups that are searched for neighbours


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


def vote(bank: Tensor, label: Tensor, query: Tensor, k: int, temperature: float) -> Tensor:
    """The class of each query: bank (N, D), its labels (N,), queries (M, D) -> (M,).

    Each of the k nearest has the weight exp(s / T), s being the cosine similarity
    (arXiv:1805.01978, section 3.4).
    """
    k, classes = min(k, len(bank)), int(label.max()) + 1
    # Blocks of queries bound the memory. On a CPU their similarities should fit the cache, but of
    # fewer queries the product is slower: for a bank of 60,000, of 64 by a quarter.
    block = max(192, (1 << (22 if bank.device.type == "cpu" else 27)) // len(bank))
    votes = []
    length = bank.norm(dim=1).clamp(min=1e-12)
    for part in query.split(block):
        similarity, index = nearest(F.normalize(part, dim=1), bank, k, length)
        weight = (similarity / temperature).exp()
        one_hot = F.one_hot(label[index], classes).to(weight)  # (B, k, classes)
        votes.append((weight[:, None] @ one_hot).squeeze(1).argmax(1))
    return torch.cat(votes)
