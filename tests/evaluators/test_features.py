"""The training images that samples are compared with are a fixed random subset."""

from dataclasses import replace

import pytest
import torch
from made import gaussian, with_features

from skiplab.evaluators.features.features import reference_subset_features


def test_a_subset_holds_so_many_different_training_images_not_just_the_first(trained) -> None:
    real = torch.arange(1000.0)[:, None]
    found = reference_subset_features(with_features(trained, real, real), 300).flatten().tolist()
    assert len(set(found)) == len(found) == 300
    assert sum(found) / 300 == pytest.approx(499.5, abs=50)


def test_every_seed_is_compared_with_the_same_images(trained) -> None:
    made = with_features(trained, gaussian(50, 2, seed=0), gaussian(5, 2, seed=1))
    first, second = (reference_subset_features(replace(made, seed=seed), 20) for seed in (0, 1))
    assert torch.equal(first, second)


def test_a_subset_larger_than_the_split_is_the_split(trained) -> None:
    real = gaussian(50, 2, seed=0)
    assert torch.equal(reference_subset_features(with_features(trained, real, real), 60), real)
