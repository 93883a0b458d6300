from typing import ClassVar

import numpy as np
import torch

from skiplab.charts import Chart, Measurement
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.features.features import describe, sample_features
from skiplab.evaluators.features.reference_moments import reference_moments
from skiplab.evaluators.frechet_distance import frechet_distance
from skiplab.metrics import Metric
from skiplab.seeding import keyed_generator


class FrechetInfinity(Evaluator):
    """Frechet distance for infinitely many samples, extrapolated from its values for fewer samples.

    With n samples the distance is too large, by about a constant divided by n. A line is fitted by least squares to
    the distances of random subsets, with sizes evenly spaced up to all samples,

        frechet(n) = frechet_infinity + slope / n.

    Source: Chong and Forsyth 2020, Effectively Unbiased FID and Inception Score, arXiv:1911.07023 (FID-infinity).
    Differs from the source: samples start from ordinary noise, not from a low-discrepancy sequence; the extractor is an
        option. As there, the reference's own finite size stays as it is.

    Args:
        num_samples: samples drawn; the fit is good if they are several times as many as the features.
        num_points: number of subset sizes, from 2; fewer if that many whole numbers don't fit.
        smallest_fraction: the smallest subset over all samples; at least two samples, and not all.

    Raises:
        SkiplabError: if num_points or smallest_fraction is out of range.
    """

    needs_extractor: ClassVar[bool] = True
    metrics: ClassVar[dict[str, Metric]] = {
        "frechet_infinity": Metric(label="Frechet distance at infinite sample size", direction="lower")
    }
    charts: ClassVar[dict[str, Chart]] = {
        "frechet_by_size": Chart(
            title="Frechet distance by number of samples",
            caption="Distance of random subsets of the samples against 1 / their number. At 0, the value that a "
            "straight line through them predicts for infinitely many samples.",
            kind="lines",
            x="1 / number of samples",
            value="Frechet distance",
        ),
        "frechet_infinity": Chart(
            title="Frechet distance at infinite sample size",
            caption="Extrapolated from subsets of the samples; each seed, and each arm's mean with its 95% interval. "
            "Lower is better.",
            kind="outcome",
        ),
    }

    def __init__(self, *, num_samples: int, num_points: int, smallest_fraction: float) -> None:
        if num_points < 2:
            raise SkiplabError(
                f"evaluator.frechet_infinity.num_points={num_points} is invalid; valid: a whole number from 2"
            )
        smallest = round(smallest_fraction * num_samples)
        if not 2 <= smallest < num_samples:
            raise SkiplabError(
                f"evaluator.frechet_infinity.smallest_fraction={smallest_fraction} of num_samples={num_samples} is "
                "invalid; valid: a fraction of at least two samples and not all"
            )
        self.num_samples = num_samples
        self.sizes = np.unique(np.linspace(smallest, num_samples, num_points).round().astype(int)).tolist()

    def evaluate(self, trained: Trained) -> Result:
        reference, samples = reference_moments(trained), sample_features(trained, self.num_samples)
        distances = []
        for size in self.sizes:
            order = torch.randperm(len(samples), generator=keyed_generator(0, "frechet_infinity", size))
            distances.append(frechet_distance(reference, samples[order[:size].to(samples.device)]))
        inverse = [1 / size for size in self.sizes]
        slope, at_infinity = np.polyfit(inverse, distances, deg=1).tolist()
        points = [(0.0, at_infinity), *zip(inverse, distances, strict=True)]
        return Result(
            {"frechet_infinity": at_infinity},
            measurements=[Measurement("frechet_by_size", inverse_size, value) for inverse_size, value in points],
            details=describe(trained, samples) | {"slope": slope},
        )
