"""The Frechet distance equals the textbook formula in float64."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch

from skiplab.data.dataset import Dataset, Split
from skiplab.errors import SkiplabError
from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor
from skiplab.evaluators.feature_extractors.raw import Raw
from skiplab.evaluators.frechet_distance import FrechetDistance


def moments(features: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    array = features.double().numpy()
    return array.mean(axis=0), np.cov(array, rowvar=False)


def distance(real: torch.Tensor, fake: torch.Tensor, trace_of_root) -> float:
    (mean_real, cov_real), (mean_fake, cov_fake) = moments(real), moments(fake)
    difference = mean_real - mean_fake
    return float(difference @ difference + np.trace(cov_real + cov_fake) - 2 * trace_of_root(cov_real, cov_fake))


def by_sqrtm(cov_real: np.ndarray, cov_fake: np.ndarray) -> float:
    """The textbook's root, for covariances of full rank."""
    return np.trace(scipy.linalg.sqrtm(cov_real @ cov_fake)).real


def by_symmetric_roots(cov_real: np.ndarray, cov_fake: np.ndarray) -> float:
    """tr (A B)^(1/2) = tr (A^(1/2) B A^(1/2))^(1/2), which features that never fire leave well-defined."""
    values, vectors = np.linalg.eigh(cov_real)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    return np.sqrt(np.linalg.eigvalsh(root @ cov_fake @ root).clip(0)).sum()


@pytest.fixture(scope="module")
def features(trained) -> tuple[torch.Tensor, torch.Tensor]:
    """Of all training images and of 300 samples."""
    with torch.no_grad():
        return trained.extractor(trained.data.train.at(slice(None)).images), trained.extractor(trained.samples(300))


def test_equals_the_formula_on_all_features(trained, features) -> None:
    found = FrechetDistance(num_samples=300).evaluate(trained).summary["frechet_distance"]
    assert found == pytest.approx(distance(*features, by_symmetric_roots), rel=1e-6)
    assert found > 1


def test_equals_the_textbook_formula_on_features_of_full_rank(trained, features) -> None:
    firing = torch.stack([group.std(dim=0) for group in features]).amin(dim=0).topk(16).indices

    class Firing(FeatureExtractor):
        shape, sha256 = (1, 8, 8), "none"

        def forward(self, images):
            return trained.extractor(images)[:, firing]

    found = (
        FrechetDistance(num_samples=300).evaluate(replace(trained, make_extractor=Firing)).summary["frechet_distance"]
    )
    assert found == pytest.approx(distance(*(group[:, firing] for group in features), by_sqrtm), rel=1e-6)


def training(images: torch.Tensor) -> Dataset:
    """Data of these training images."""
    data = Dataset()
    data.train = Split(images, torch.zeros(len(images), dtype=torch.long))
    return data


class TwoPixels(FeatureExtractor):
    """The first two pixels as features, so that Gaussians can be made to order."""

    shape, sha256 = (1, 8, 8), "none"

    def forward(self, images):
        return images[:, 0, 0, :2]


def test_of_two_gaussians_with_known_moments(trained) -> None:
    """Means 3 and 4 apart, variances (1, 4) and (9, 4): 9 + 16 + (1 - 3)^2 + (2 - 2)^2."""
    signs = torch.tensor([[a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)]).repeat(500, 1)
    real, fake = torch.zeros(2000, 1, 8, 8), torch.zeros(2000, 1, 8, 8)
    real[:, 0, 0, :2] = signs * torch.tensor([1.0, 2.0])
    fake[:, 0, 0, :2] = signs * torch.tensor([3.0, 2.0]) + torch.tensor([3.0, 4.0])
    made = replace(trained, data=training(real), make_extractor=TwoPixels, _samples={2000: fake})
    exact = 25 + 4 * 2000 / 1999  # covariances are divided by n - 1
    assert FrechetDistance(num_samples=2000).evaluate(made).summary["frechet_distance"] == pytest.approx(
        exact, rel=1e-6
    )


def test_of_points_is_the_squared_2_wasserstein_distance_of_their_gaussians(trained) -> None:
    """Correlated points against the same turned and moved, by the textbook formula."""
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(3000, 2, generator=generator) @ torch.tensor([[1.0, 0.5], [0.0, 0.2]])
    moved = points[:1000].flip(1) + torch.tensor([0.5, -1.0])
    made = replace(trained, data=training(points), make_extractor=Raw, _samples={1000: moved})
    found = FrechetDistance(num_samples=1000).evaluate(made).summary["frechet_distance"]
    assert found == pytest.approx(distance(points, moved, by_sqrtm), rel=1e-5)
    assert found > 1.25


def test_of_bytes_is_that_of_the_images_they_stand_for(trained) -> None:
    stored = torch.randint(0, 256, (500, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    data = training(stored)
    fake = torch.randn(300, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    made = replace(trained, data=data, make_extractor=TwoPixels, _samples={300: fake})
    pixels = stored[:, 0, 0, :2].double() / 127.5 - 1
    found = FrechetDistance(num_samples=300).evaluate(made).summary["frechet_distance"]
    assert found == pytest.approx(distance(pixels, fake[:, 0, 0, :2], by_sqrtm), rel=1e-5)


def test_never_hands_the_extractor_more_than_a_batch(trained) -> None:
    seen = []

    class Watching(Raw):
        def forward(self, images):
            seen.append(len(images))
            return super().forward(images)

    FrechetDistance(num_samples=300).evaluate(replace(trained, make_extractor=Watching))
    assert sum(seen) == len(trained.data.train) + 300
    assert max(seen) <= 128


def test_states_how_it_was_measured(trained) -> None:
    details = FrechetDistance(num_samples=300).evaluate(trained).details
    assert details == {
        "num_reference": len(trained.data.train),
        "num_samples": 300,
        "extractor": "DigitsClassifier",
        "extractor_sha256": trained.extractor.sha256,
        "resize": None,
        "num_features": 64,
        "sampler": "DPMSolver2M",
        "sampler_settings": vars(trained.sampler),
        "num_steps": trained.sampler.num_steps,
        "weights": "last",
    }


def test_refuses_one_sample() -> None:
    with pytest.raises(SkiplabError, match="num_samples=1 is invalid; valid: from 2"):
        FrechetDistance(num_samples=1)
