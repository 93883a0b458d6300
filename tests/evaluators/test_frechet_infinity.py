"""The extrapolated Frechet distance equals a slow fit, and comes nearer to the exact distance than the plain one."""

import numpy as np
import pytest
import scipy.linalg
import torch
from drawn import drawn
from made import gaussian, with_features

from skiplab.errors import SkiplabError
from skiplab.evaluators.frechet_distance import FrechetDistance
from skiplab.evaluators.frechet_infinity import FrechetInfinity
from skiplab.seeding import keyed_generator


def white(count: int, width: int) -> torch.Tensor:
    """Points of mean exactly 0 and covariance exactly 1."""
    points = gaussian(count, width, seed=0).double()
    points = points - points.mean(dim=0)
    return (points @ torch.linalg.inv(torch.linalg.cholesky(points.T.cov())).T).float()


def distance(real: np.ndarray, fake: np.ndarray) -> float:
    difference = real.mean(axis=0) - fake.mean(axis=0)
    covariances = [np.cov(part, rowvar=False) for part in (real, fake)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    return float(difference @ difference + np.trace(sum(covariances)) - 2 * np.trace(root))


def test_equals_a_slow_fit_through_the_textbook_distances(trained) -> None:
    real, samples = gaussian(500, 4, seed=0), 2 * gaussian(120, 4, seed=1)
    result = FrechetInfinity(num_samples=120, num_points=3, smallest_fraction=0.25).evaluate(
        with_features(trained, real, samples)
    )
    points = []
    for size in (30, 75, 120):
        chosen = torch.randperm(120, generator=keyed_generator(0, "frechet_infinity", size))[:size]
        points.append((1 / size, distance(real.double().numpy(), samples[chosen].double().numpy())))
    mean_x, mean_y = np.mean(points, axis=0)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    found = drawn(result, "frechet_by_size")
    assert found == pytest.approx(dict([(0.0, mean_y - slope * mean_x), *points]), rel=1e-4)
    assert result.summary["frechet_infinity"] == found[0.0]
    assert result.details["slope"] == pytest.approx(slope, rel=1e-4)


def test_comes_nearer_to_the_exact_distance_than_the_plain_one(trained) -> None:
    """Samples of N(m, 1) against a reference of exactly N(0, 1), in 16 dimensions: |m|^2 = 4."""
    real, errors = white(2000, 16), []
    for seed in range(12):
        made = with_features(trained, real, gaussian(300, 16, seed=1 + seed) + 0.5)
        plain = FrechetDistance(num_samples=300).evaluate(made).summary["frechet_distance"]
        fitted = FrechetInfinity(num_samples=300, num_points=8, smallest_fraction=0.25).evaluate(made)
        errors.append((plain - 4, fitted.summary["frechet_infinity"] - 4))
    plain, fitted = np.mean(errors, axis=0)
    assert plain > 0.1
    assert abs(fitted) < plain / 2


def test_sizes_are_spread_up_to_all_samples_and_none_comes_twice() -> None:
    assert FrechetInfinity(num_samples=400, num_points=4, smallest_fraction=0.25).sizes == [100, 200, 300, 400]
    assert FrechetInfinity(num_samples=5, num_points=10, smallest_fraction=0.4).sizes == [2, 3, 4, 5]


def test_refuses_what_no_line_can_be_fitted_to() -> None:
    with pytest.raises(SkiplabError, match="num_points=1 is invalid; valid: a whole number from 2"):
        FrechetInfinity(num_samples=100, num_points=1, smallest_fraction=0.5)
    for share in (0.0, 0.01, 0.999, 1.0):
        with pytest.raises(SkiplabError, match=f"smallest_fraction={share} of num_samples=100 is invalid"):
            FrechetInfinity(num_samples=100, num_points=3, smallest_fraction=share)
