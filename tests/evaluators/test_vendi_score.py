"""The Vendi score equals its definition and closed forms; diversity is its ratio to that of training images."""

import numpy as np
import pytest
import torch
from made import gaussian, with_features

from skiplab.errors import SkiplabError
from skiplab.evaluators.vendi_score import VendiScore, vendi_score


def by_definition(features: np.ndarray) -> float:
    """That of Friedman and Dieng, with the matrix of cosines written out."""
    n = len(features)
    kernel = [[float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for b in features] for a in features]
    values = np.linalg.eigvalsh(np.array(kernel) / n)
    return float(np.exp(-sum(value * np.log(value) for value in values if value > 1e-14)))


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (12, 12)])
def test_equals_its_definition(shape: tuple[int, int]) -> None:
    features = gaussian(*shape, seed=0) + 0.5
    assert vendi_score(features) == pytest.approx(by_definition(features.double().numpy()), rel=1e-9)


def test_counts_what_differs() -> None:
    assert vendi_score(torch.eye(7) * torch.arange(1.0, 8)[:, None]) == pytest.approx(7)
    assert vendi_score(torch.ones(7, 3)) == pytest.approx(1)
    assert vendi_score(torch.eye(3).repeat(5, 1)) == pytest.approx(3)


def test_of_two_groups_of_unequal_size_is_the_exponential_of_their_entropy() -> None:
    features = torch.eye(2).repeat_interleave(torch.tensor([9, 1]), dim=0)
    assert vendi_score(features) == pytest.approx(np.exp(-0.9 * np.log(0.9) - 0.1 * np.log(0.1)))


def test_features_that_never_fire_are_finite() -> None:
    assert vendi_score(torch.zeros(4, 3)) == 1


def test_samples_that_are_the_training_images_are_as_diverse(trained) -> None:
    points = gaussian(60, 5, seed=0)
    result = VendiScore(num_samples=60).evaluate(with_features(trained, points, points))
    assert result.summary["vendi_score"] == pytest.approx(1)
    assert result.details["vendi_reference"] == pytest.approx(by_definition(points.double().numpy()), rel=1e-9)


def test_collapse_lies_below_1_and_noise_above(trained) -> None:
    modes = torch.eye(8)[:4].repeat(10, 1)
    for samples, expected in ((modes[:1].repeat(40, 1), 1 / 4), (torch.eye(8).repeat(5, 1), 8 / 4)):
        made = with_features(trained, modes, samples)
        assert VendiScore(num_samples=40).evaluate(made).summary["vendi_score"] == pytest.approx(expected)


def test_as_many_samples_are_taken_as_there_are_training_images(trained) -> None:
    result = VendiScore(num_samples=6).evaluate(with_features(trained, torch.eye(6)[:3], torch.eye(6)))
    assert result.summary["vendi_score"] == pytest.approx(1)
    assert result.details["num_reference"] == result.details["num_samples"] == 3


def test_refuses_one_sample() -> None:
    with pytest.raises(SkiplabError, match="num_samples=1 is invalid; valid: from 2"):
        VendiScore(num_samples=1)
