"""Precision, recall, density and coverage equal a slow double loop and their expectations for equal distributions."""

import math

import numpy as np
import pytest
import torch
from made import gaussian, with_features

from skiplab.errors import SkiplabError
from skiplab.evaluators import precision_recall
from skiplab.evaluators.precision_recall import PrecisionRecall, compared


def slow(real: np.ndarray, samples: np.ndarray, k: int) -> dict[str, float]:
    def radius(points: np.ndarray, index: int) -> float:
        others = [math.dist(points[index], point) for place, point in enumerate(points) if place != index]
        return sorted(others)[k - 1]

    around_real = [radius(real, index) for index in range(len(real))]
    around_samples = [radius(samples, index) for index in range(len(samples))]
    distances = [[math.dist(s, r) for r in real] for s in samples]
    in_real = [[distance <= radius for distance, radius in zip(row, around_real, strict=True)] for row in distances]
    in_samples = [
        [distance <= radius for distance in row] for row, radius in zip(distances, around_samples, strict=True)
    ]
    return {
        "precision": sum(map(any, in_real)) / len(samples),
        "recall": sum(map(any, zip(*in_samples, strict=True))) / len(real),
        "density": sum(map(sum, in_real)) / (k * len(samples)),
        "coverage": sum(map(any, zip(*in_real, strict=True))) / len(real),
    }


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(("num_real", "num_samples"), [(40, 25), (25, 40)])
def test_equals_a_slow_double_loop(num_real: int, num_samples: int, k: int, trained, monkeypatch) -> None:
    monkeypatch.setattr(precision_recall, "_ROWS", 7)  # several parts, the last one smaller
    real, samples = gaussian(num_real, 3, seed=0), gaussian(num_samples, 3, seed=1) * 1.5 + 0.5
    evaluator = PrecisionRecall(num_samples=num_samples, num_reference=100, num_neighbors=k)
    found = evaluator.evaluate(with_features(trained, real, samples)).summary
    expected = slow(real.numpy(), samples.numpy(), k)
    assert found == pytest.approx(expected, abs=1e-12)
    assert len(set(expected.values())) == 4
    assert 0 < min(expected["precision"], expected["recall"]) < 1


def test_samples_that_are_the_training_images_score_1() -> None:
    points = gaussian(50, 4, seed=0).double()
    found = compared(points, points, 5)
    # each ball holds its own center besides the five neighbors
    assert found == pytest.approx({"precision": 1, "recall": 1, "coverage": 1, "density": 6 / 5})


def test_equal_distributions_have_the_expected_density_and_coverage() -> None:
    """As Naeem et al. derive: density 1, coverage 1 - (N-1)...(N-k) / ((N+M-1)...(N+M-k))."""
    k, num_real, num_samples = 3, 300, 500
    found = [
        compared(gaussian(num_real, 5, seed=seed).double(), gaussian(num_samples, 5, seed=100 + seed).double(), k)
        for seed in range(20)
    ]
    missed = math.prod((num_real - j) / (num_real + num_samples - j) for j in range(1, k + 1))
    for name, expected in (("density", 1), ("coverage", 1 - missed)):
        values = [each[name] for each in found]
        error = np.std(values, ddof=1) / math.sqrt(len(values))
        assert error < 0.02
        assert np.mean(values) == pytest.approx(expected, abs=4 * error)


def test_collapsed_samples_are_precise_and_recall_nothing() -> None:
    real = gaussian(200, 4, seed=0).double()
    found = compared(real, real[:1] + 1e-3 * gaussian(100, 4, seed=1).double(), 5)
    assert found["precision"] == 1
    assert found["recall"] <= 1 / 200
    assert found["coverage"] < 0.1


def test_samples_far_off_are_imprecise_and_a_few_such_reach_everything() -> None:
    real, far = gaussian(200, 4, seed=0).double(), 100 + gaussian(50, 4, seed=1).double()
    assert compared(real, far, 5) == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}
    far[:10] = 1e4 * gaussian(10, 4, seed=2).double()
    assert compared(real, far, 5) == {"precision": 0, "recall": 1, "density": 0, "coverage": 0}


def test_half_of_two_modes_is_half_the_recall() -> None:
    left, right = gaussian(100, 2, seed=0).double(), 50 + gaussian(100, 2, seed=1).double()
    found = compared(torch.cat([left, right]), gaussian(100, 2, seed=2).double(), 5)
    assert found["precision"] > 0.9
    assert 0.4 < found["recall"] <= 0.5
    assert 0.4 < found["coverage"] <= 0.5


def test_takes_so_many_training_images_and_says_so(trained) -> None:
    made = with_features(trained, gaussian(90, 2, seed=0), gaussian(30, 2, seed=1))
    result = PrecisionRecall(num_samples=30, num_reference=40, num_neighbors=2).evaluate(made)
    assert result.details["num_reference"] == 40
    assert result.details["num_neighbors"] == 2
    assert result.summary["coverage"] * 40 == pytest.approx(round(result.summary["coverage"] * 40))


@pytest.mark.parametrize("num_neighbors", [0, 20])
def test_refuses_impossible_numbers_of_neighbors(num_neighbors: int) -> None:
    with pytest.raises(SkiplabError, match=f"num_neighbors={num_neighbors} is invalid; valid: from 1, below"):
        PrecisionRecall(num_samples=20, num_reference=30, num_neighbors=num_neighbors)


def test_refuses_more_neighbors_than_training_images(trained) -> None:
    evaluator = PrecisionRecall(num_samples=2000, num_reference=2000, num_neighbors=1437)
    with pytest.raises(SkiplabError, match=r"num_neighbors=1437 is invalid; valid: below the 1437 training images"):
        evaluator.check(trained.objective, trained.data, "precision_recall")
