"""Measures of a representation that need no labels."""

import torch
from torch import Tensor


def effective_rank(h: Tensor) -> Tensor:
    """RankMe (arXiv:2210.02885, equation 1): exp of the entropy of h's singular values.

    Features (N, D) -> (), from 1 (all on one line) to min(N, D). The singular values are roots of
    the eigenvalues of the smaller Gram matrix, in float64 on the CPU: a GPU takes longer for these.
    """
    h = h.detach().to("cpu", torch.float64)
    gram = h.mT @ h if len(h) > h.shape[1] else h @ h.mT
    values = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    p = values / values.sum().clamp(min=1e-12) + 1e-7
    return (-(p * p.log()).sum()).exp()


def deviation(h: Tensor) -> Tensor:
    """The standard deviation of each dimension of the unit vectors, averaged, times √D.

    Features (N, D) -> (): 0 if all images have one representation (collapse), 1 if they point in
    all directions alike (arXiv:2011.10566, section 4.1).
    """
    unit = torch.nn.functional.normalize(h.float(), dim=1)
    return unit.std(0).mean() * h.shape[1] ** 0.5


def alignment(h: Tensor, h_: Tensor) -> Tensor:
    """Mean squared distance of two views' unit vectors (arXiv:2005.10242, section 4.1.1), α = 2.

    Features of N images' views, (N, D) each -> (); 0 is a representation invariant to the views.
    """
    h, h_ = (torch.nn.functional.normalize(each.float(), dim=1) for each in (h, h_))
    return (h - h_).square().sum(1).mean()


def uniformity(h: Tensor) -> Tensor:
    """Log of the mean Gaussian potential of all pairs (arXiv:2005.10242, section 4.1.2), t = 2.

    Features (N, D) -> (). 0, the maximum, is collapse; lower is more uniform.
    """
    h = torch.nn.functional.normalize(h.float(), dim=1)
    squared = torch.pdist(h).square()
    return squared.mul(-2).exp().mean().log()
