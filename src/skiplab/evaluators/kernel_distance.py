from typing import ClassVar

import torch
from torchmetrics.image.kid import poly_mmd

from skiplab.charts import Chart
from skiplab.data.dataset import Dataset
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Evaluator, Result, Trained
from skiplab.evaluators.features.features import describe, reference_features_at, sample_features
from skiplab.metrics import Metric
from skiplab.objectives.objective import Objective
from skiplab.seeding import keyed_generator


class KernelDistance(Evaluator):
    """Kernel distance: squared maximum mean discrepancy with k(x, y) = (x.y / num_features + 1)^3, unbiased.

    Mean over random subsets of features of training images and of samples.

    Source: Binkowski et al. 2018, Demystifying MMD GANs, arXiv:1801.01401, section 4 (from memory), as torchmetrics
        computes it.
    Differs from the source: the extractor is an option; the score of feature_extractor=inception alone is 'KID'. In
        float64, as cubes of large features overflow in float32.

    Args:
        num_samples: samples drawn.
        num_subsets: number of subsets, from 1.
        subset_size: images per subset, from 2; all of them if samples or training images are fewer.

    Raises:
        SkiplabError: if an argument is out of range, or there is only one training image.
    """

    needs_extractor: ClassVar[bool] = True
    metrics: ClassVar[dict[str, Metric]] = {"kernel_distance": Metric(label="kernel distance", direction="lower")}
    charts: ClassVar[dict[str, Chart]] = {
        "kernel_distance": Chart(
            title="Kernel distance of samples",
            caption="Squared maximum mean discrepancy between features of training images and of samples; each seed, "
            "and each arm's mean with its 95% interval. Lower is better; the expected value is at least 0.",
            kind="outcome",
        ),
    }

    def __init__(self, *, num_samples: int, num_subsets: int, subset_size: int) -> None:
        if min(subset_size, num_samples) < 2 or num_subsets < 1:
            raise SkiplabError(
                f"evaluator.kernel_distance.subset_size={subset_size}, num_samples={num_samples}, "
                f"num_subsets={num_subsets} is invalid; valid: subset_size and num_samples from 2, num_subsets from 1"
            )
        self.num_samples, self.num_subsets, self.subset_size = num_samples, num_subsets, subset_size

    def check(self, objective: Objective, data: Dataset, name: str) -> None:
        super().check(objective, data, name)
        if len(data.train) < 2:
            raise SkiplabError(
                f"evaluator={name} needs at least two training images, but there is only one; "
                "remove it from evaluator=[...]"
            )

    def evaluate(self, trained: Trained) -> Result:
        samples = sample_features(trained, self.num_samples)
        num_real, num_fake = len(trained.data.train), len(samples)
        subset_size = min(self.subset_size, num_fake, num_real)
        generator = keyed_generator(0, "kernel/subsets")
        real, fake = [], []
        for _ in range(self.num_subsets):
            real.append(torch.randperm(num_real, generator=generator)[:subset_size])
            fake.append(torch.randperm(num_fake, generator=generator)[:subset_size])
        positions, rows = torch.cat(real).unique(return_inverse=True)  # a large split's other images aren't needed
        features = reference_features_at(trained, positions)
        distances = torch.stack(
            [
                poly_mmd(features[of_real].double(), samples[of_fake].double())
                for of_real, of_fake in zip(rows.split(subset_size), fake, strict=True)
            ]
        )
        details = describe(trained, samples) | {
            "num_subsets": self.num_subsets,
            "subset_size": subset_size,
            "spread_over_subsets": float(distances.std(unbiased=False)),
        }
        return Result({"kernel_distance": float(distances.mean())}, details=details)
