"""How the vectors of a batch lie to each other, whatever their length and direction."""

import torch
import torch.nn.functional as F
from torch import Tensor


def distances(z: Tensor) -> Tensor:
    """Distances of all pairs, divided by their mean: (B, D) -> (B, B). arXiv:1904.05068, eq. 6-7"""
    d = torch.cdist(z, z, compute_mode="donot_use_mm_for_euclid_dist")
    pairs = max(1, len(z) * (len(z) - 1))
    return d / (d.sum() / pairs).clamp(min=1e-12)


def angles(z: Tensor) -> Tensor:
    """The cosine of the angle i-j-k of all triplets: (B, D) -> (B, B, B) by j, i, k. Equation 9."""
    z = z - z.mean(0)
    inner = z @ z.T
    # (z_i - z_j) · (z_k - z_j), from inner products: the differences themselves would be (B, B, D).
    at_j = inner[None] - inner[:, :, None] - inner[:, None, :]
    dot = at_j + inner.diagonal()[:, None, None]
    square = dot.diagonal(dim1=1, dim2=2)  # |z_i - z_j|², by j, i
    length = square.clamp(min=1e-6 * square.detach().mean().item()).sqrt()
    other = 1 - torch.eye(len(z), device=z.device)  # where i is j, there is no angle
    other = other[:, :, None] * other[:, None, :]
    return other * dot / (length[:, :, None] * length[:, None, :]).clamp(min=1e-12)


def relational(student: Tensor, teacher: Tensor, distance: float, angle: float) -> Tensor:
    """Relational knowledge distillation: (B, D), (B, E) -> (). arXiv:1904.05068, equations 8 and 10

    The Huber loss of distances and of angles, each a mean over all pairs or triplets.
    """
    student, teacher = student.float(), teacher.float()
    pairs = F.smooth_l1_loss(distances(student), distances(teacher))
    triplets = F.smooth_l1_loss(angles(student), angles(teacher))
    return distance * pairs + angle * triplets


def similar(student: Tensor, teacher: Tensor) -> Tensor:
    """Similarity-preserving distillation: (B, D), (B, E) -> (). arXiv:1907.09682, equations 1 to 4

    The mean squared difference of the two batches' inner products, each row normalised.
    """
    of_student, of_teacher = (F.normalize(z @ z.T) for z in (student.float(), teacher.float()))
    return F.mse_loss(of_student, of_teacher)
