"""How similar an image and its transformed copy are, compared with all other images."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from unlabel.features.split import ALL, Features
from unlabel.metric import Metric
from unlabel.probe import Probe


class Invariance(Probe):
    """Cosine similarities of views of the validation split's images.

    The mean feature is subtracted first, so unrelated images have a similarity near 0, and no
    encoder gains from what all its features share. It is the mean of the first views: if a
    transform moves all features the same way, they are not invariant to it.
    """

    labels = False
    least = 2  # it compares images

    def metrics(self) -> Iterable[Metric]:
        for suffix, on, projector in (("", "", False), ("_z", ", on z", True)):
            for name, title in (
                ("similarity_{transform}", "cosine similarity after {transform}"),
                ("positive_similarity", "cosine similarity of views of an image"),
                ("negative_similarity", "cosine similarity of views of different images"),
                ("margin", "margin between positives and negatives"),
                ("margin_ratio", "margin in deviations of the negatives"),
            ):
                yield Metric(f"{name}{suffix}", f"{title}{on}", projector=projector)

    def measure(self, features: Features, seed: int) -> dict[str, float]:
        """For each transform alone `similarity_TRANSFORM`, the mean over images and their views.

        For pairs made by all transforms `positive_similarity`, `negative_similarity` (views of
        different images), their difference `margin`, and `margin_ratio`, the margin in standard
        deviations of the negatives. The same on z if there is one: `margin_z`.
        """
        measures = {}
        for name, views in features.views.items():
            for suffix, first, second in (("", views.h, views.h_), ("_z", views.z, views.z_)):
                if first is None or second is None:
                    continue
                similarity = similarities(first, second)
                positive = float(similarity.diagonal().mean())
                if name != ALL:
                    measures[f"similarity_{name}{suffix}"] = positive
                    continue
                negatives = similarity[
                    ~torch.eye(len(first), dtype=torch.bool, device=first.device)
                ]
                negative, spread = float(negatives.mean()), float(negatives.std())
                measures[f"positive_similarity{suffix}"] = positive
                measures[f"negative_similarity{suffix}"] = negative
                measures[f"margin{suffix}"] = positive - negative
                measures[f"margin_ratio{suffix}"] = (
                    (positive - negative) / spread if spread else 0.0
                )
        return measures


def similarities(first: Tensor, second: Tensor) -> Tensor:
    """Cosines after the mean of the first has been subtracted: (n, D), (n, D) -> (n, n).

    A vector that equals the mean up to rounding has similarity 0 to all others.
    """
    mean = first.double().mean(0)
    unit = []
    for x in (first, second):
        centred = x.double() - mean
        length = centred.norm(dim=1, keepdim=True)
        unit.append(F.normalize(centred, dim=1).where(length > 1e-6 * mean.norm(), 0).float())
    return unit[0] @ unit[1].T
