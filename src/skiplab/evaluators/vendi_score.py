from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.features.features import describe, reference_subset_features, sample_features
from skiplab.metrics import Metric


class VendiScore(Evaluator):
    """The Vendi score (effective number of distinct images) of the samples, divided by that of as many training images.

    With K the cosines between the features of n images and p the eigenvalues of K / n, which add up to 1,

        Vendi score = exp(-sum p ln p),

    which is n if all are orthogonal and 1 if all are equal. The ratio is 1 for samples as diverse as the data. It does
    not measure realism: samples of pure noise are similar to one extractor and distinct to another.

    Source: Friedman and Dieng 2023, The Vendi Score, arXiv:2210.02410, section 3 (from memory).
    Differs from the source: over the training images' own score; the extractor is an option.

    Args:
        num_samples: samples drawn, from 2, and training images, a random subset; if there are fewer training images,
            as many samples are used.

    Raises:
        SkiplabError: if num_samples is below 2.
    """

    needs_extractor: ClassVar[bool] = True
    metrics: ClassVar[dict[str, Metric]] = {
        # neither direction is better: samples more diverse than the data show what the data don't
        "vendi_score": Metric(label="diversity of samples over that of training images", direction=None, scale="log"),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "vendi_score": Chart(
            title="Diversity of samples",
            caption="Effective number of distinct images among the samples, divided by that of the training images; "
            "each seed, and each arm's mean with its 95% interval. 1 is as diverse as the data; below 1, samples "
            "repeat themselves. It doesn't measure realism, so read it together with a distance.",
            kind="outcome",
        ),
    }

    def __init__(self, *, num_samples: int) -> None:
        if num_samples < 2:
            raise SkiplabError(f"evaluator.vendi_score.num_samples={num_samples} is invalid; valid: from 2")
        self.num_samples = num_samples

    def evaluate(self, trained: Trained) -> Result:
        samples = sample_features(trained, self.num_samples)
        real = reference_subset_features(trained, self.num_samples)
        of_samples, of_reference = vendi_score(samples[: len(real)]), vendi_score(real)
        details = describe(trained, samples) | {
            "num_reference": len(real),
            "num_samples": min(len(real), len(samples)),
            "vendi_samples": of_samples,
            "vendi_reference": of_reference,
        }
        return Result({"vendi_score": of_samples / of_reference}, details=details)


def vendi_score(features: Float[Tensor, "image feature"]) -> float:
    """The effective number of different rows; a row of zeros is like nothing, and adds nothing."""
    rows = F.normalize(features.double(), dim=1)
    # K / n and the smaller matrix of features have the same eigenvalues but for zeros
    small = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    values = torch.linalg.eigvalsh(small / len(rows)).clamp(min=0)
    return float(torch.special.entr(values).sum().exp())
