"""Mean and covariance of the training images' features."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from skiplab.evaluators.evaluator import Trained
from skiplab.evaluators.features.features import reference_features
from skiplab.evaluators.features.reference_cache import cached


@dataclass(frozen=True)
class ReferenceMoments:
    """Sums of features over images, in float64.

    mean = total / count,  covariance = (outer - total total^T / count) / (count - 1)
    """

    count: Int[Tensor, ""]
    total: Float[Tensor, " feature"]
    outer: Float[Tensor, "feature feature"]

    @property
    def mean(self) -> Float[Tensor, " feature"]:
        return self.total / self.count

    @property
    def covariance(self) -> Float[Tensor, "feature feature"]:
        return (self.outer - torch.outer(self.total, self.mean)) / (self.count - 1)


def reference_moments(trained: Trained) -> ReferenceMoments:
    """The moments of all training images, computed once."""
    return ReferenceMoments(**cached(trained, "moments", lambda: vars(_compute(trained))))


def _compute(trained: Trained) -> ReferenceMoments:
    count = 0
    total = outer = torch.zeros(())  # takes the features' shape when the first are added
    for features in reference_features(trained):
        features = features.double()
        count += len(features)
        total = total + features.sum(dim=0)
        outer = outer + features.T @ features
    return ReferenceMoments(torch.tensor(count), total, outer)
