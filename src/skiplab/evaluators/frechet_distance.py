import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.features.features import describe, sample_features
from skiplab.evaluators.features.reference_moments import ReferenceMoments, reference_moments
from skiplab.metrics import Metric


class FrechetDistance(Evaluator):
    """Frechet distance between Gaussians fitted to features of training images and of samples.

        |m_r - m_s|^2 + tr(S_r + S_s - 2 (S_r S_s)^(1/2))

    With feature_extractor=raw the features are the data: the squared 2-Wasserstein distance of the two Gaussians.

    Source: Heusel et al. 2017, arXiv:1706.08500, eq. 6 (from memory).
    Differs from the source: the extractor is an option; the score of feature_extractor=inception alone is 'FID'. The
        root's trace comes from the eigenvalues of X S_r X^T, where S_s = X^T X, which has the same ones as S_r S_s but
        zeros and is symmetric.

    Args:
        num_samples: samples drawn, from 2; too few make the distance larger.

    Raises:
        SkiplabError: if num_samples is below 2.
    """

    needs_extractor: ClassVar[bool] = True
    metrics: ClassVar[dict[str, Metric]] = {
        "frechet_distance": Metric(label="Frechet distance", direction="lower", scale="log")
    }
    charts: ClassVar[dict[str, Chart]] = {
        "frechet_distance": Chart(
            title="Frechet distance of samples",
            caption="Distance between Gaussians fitted to features of training images and of samples; each seed, and "
            "each arm's mean with its 95% interval. Lower is better.",
            kind="outcome",
        ),
    }

    def __init__(self, *, num_samples: int) -> None:
        if num_samples < 2:
            raise SkiplabError(f"evaluator.frechet_distance.num_samples={num_samples} is invalid; valid: from 2")
        self.num_samples = num_samples

    def evaluate(self, trained: Trained) -> Result:
        samples = sample_features(trained, self.num_samples)
        distance = frechet_distance(reference_moments(trained), samples)
        return Result({"frechet_distance": distance}, details=describe(trained, samples))


def frechet_distance(reference: ReferenceMoments, samples: Float[Tensor, "sample feature"]) -> float:
    """Between the Gaussians of the reference and of these samples, in float64."""
    samples = samples.double()
    mean = samples.mean(dim=0)
    factor = (samples - mean) / math.sqrt(len(samples) - 1)
    spread = factor.square().sum()
    if len(factor) > factor.shape[1]:
        factor = torch.linalg.qr(factor, mode="r").R
    covariance = reference.covariance
    root = torch.linalg.eigvalsh(factor @ covariance @ factor.T).clamp(min=0).sqrt().sum()
    return float((reference.mean - mean).square().sum() + covariance.trace() + spread - 2 * root)
