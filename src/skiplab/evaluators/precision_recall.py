from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from skiplab.charts import Chart
from skiplab.data.dataset import Dataset
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.features.features import describe, reference_subset_features, sample_features
from skiplab.metrics import Metric
from skiplab.objectives.objective import Objective

_ROWS = 1000  # samples whose distances are held at once
_SAY = "each seed, and each arm's mean with its 95% interval. Higher is better."


class PrecisionRecall(Evaluator):
    """How many samples look real, and how many real images they cover: precision, recall, density, coverage.

    Around each feature r of training images lies a ball to its k-th nearest neighbor among them, likewise around each
    feature s of samples. With n training images and m samples,

        precision = fraction of s in any ball of r,        recall = fraction of r in any ball of s,
        density = (number of pairs, s in the ball of r) / (k m),   coverage = fraction of r whose ball holds any s.

    Source: Kynkaanniemi et al. 2019, Improved Precision and Recall, arXiv:1904.06991, eq. 1 and 2 (from memory); Naeem
        et al. 2020, Reliable Fidelity and Diversity Metrics, arXiv:2002.09797, section 3 (from memory).
    Differs from the source: the extractor is an option; there may be more training images than samples, and then the
        balls of samples, and with them recall, are larger than for equal numbers.

    Args:
        num_samples: samples drawn, above num_neighbors.
        num_reference: training images at most, a random subset, above num_neighbors.
        num_neighbors: k, from 1.

    Raises:
        SkiplabError: if an argument is out of range.
    """

    needs_extractor: ClassVar[bool] = True
    metrics: ClassVar[dict[str, Metric]] = {
        "precision": Metric(
            label="precision: fraction of samples that look real",
            direction="higher",
            scale="bounded",
            if_diverged=0.0,
        ),
        "recall": Metric(
            label="recall: fraction of training images within reach of samples",
            direction="higher",
            scale="bounded",
            if_diverged=0.0,
        ),
        "density": Metric(label="density of samples around training images", direction="higher"),
        "coverage": Metric(
            label="coverage: fraction of training images with a sample nearby",
            direction="higher",
            scale="bounded",
            if_diverged=0.0,
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "precision": Chart(
            title="Precision of samples", caption=f"Fraction of samples that look real; {_SAY}", kind="outcome"
        ),
        "recall": Chart(
            title="Recall of samples",
            caption=f"Fraction of training images within reach of samples; {_SAY} Samples far from all images have a "
            "wide reach too, so read it together with the precision.",
            kind="outcome",
        ),
        "density": Chart(
            title="Density of samples",
            caption=f"Density of samples around training images; 1 means as dense as the training images. {_SAY}",
            kind="outcome",
        ),
        "coverage": Chart(
            title="Coverage of samples",
            caption=f"Fraction of training images with a sample nearby; {_SAY}",
            kind="outcome",
        ),
    }

    def __init__(self, *, num_samples: int, num_reference: int, num_neighbors: int) -> None:
        if not 1 <= num_neighbors < min(num_samples, num_reference):
            raise SkiplabError(
                f"evaluator.precision_recall.num_neighbors={num_neighbors} is invalid; valid: from 1, below "
                f"num_samples={num_samples} and num_reference={num_reference}"
            )
        self.num_samples, self.num_reference, self.num_neighbors = num_samples, num_reference, num_neighbors

    def check(self, objective: Objective, data: Dataset, name: str) -> None:
        super().check(objective, data, name)
        if self.num_neighbors >= len(data.train):
            raise SkiplabError(
                f"evaluator.precision_recall.num_neighbors={self.num_neighbors} is invalid; valid: below the "
                f"{len(data.train)} training images"
            )

    def evaluate(self, trained: Trained) -> Result:
        samples = sample_features(trained, self.num_samples)
        real = reference_subset_features(trained, self.num_reference)
        summary = compared(real.double(), samples.double(), self.num_neighbors)
        details = describe(trained, samples) | {"num_reference": len(real), "num_neighbors": self.num_neighbors}
        return Result(summary, details=details)


def compared(
    real: Float[Tensor, "image feature"], samples: Float[Tensor, "sample feature"], num_neighbors: int
) -> dict[str, float]:
    """Precision, recall, density and coverage."""
    around_real, around_samples = (_radii(points, num_neighbors) for points in (real, samples))
    looks_real, pairs = 0, 0
    reached, covered = (torch.zeros(len(real), dtype=torch.bool, device=real.device) for _ in range(2))
    for part, radii in zip(samples.split(_ROWS), around_samples.split(_ROWS), strict=True):
        distances = _distances(part, real)
        inside = distances <= around_real
        looks_real += int(inside.any(dim=1).sum())
        pairs += int(inside.sum())
        covered |= inside.any(dim=0)
        reached |= (distances <= radii[:, None]).any(dim=0)
    return {
        "precision": looks_real / len(samples),
        "recall": float(reached.double().mean()),
        "density": pairs / (num_neighbors * len(samples)),
        "coverage": float(covered.double().mean()),
    }


def _radii(points: Float[Tensor, "point feature"], num_neighbors: int) -> Float[Tensor, " point"]:
    """The distance of each point to its k-th nearest neighbor among the others; itself is the nearest, at 0."""
    parts = [_distances(part, points) for part in points.split(_ROWS)]
    return torch.cat([part.kthvalue(num_neighbors + 1, dim=1).values for part in parts])


def _distances(rows: Tensor, columns: Tensor) -> Float[Tensor, "row column"]:
    # the fast way by a matrix product doesn't put copies at distance 0
    return torch.cdist(rows, columns, compute_mode="donot_use_mm_for_euclid_dist")
