"""Each mode is the Gaussian that probabilistic PCA fits to one class of digits."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skiplab.data.gaussian_mixture_images import GaussianMixtureImages
from skiplab.errors import SkiplabError


def images(**changed) -> GaussianMixtureImages:
    return GaussianMixtureImages(**{"rank": 8, "num_train": 500, "num_val": 100, "seed": 0} | changed)


@pytest.mark.parametrize("rank", [1, 8, 32])
def test_modes_are_scikit_learns_probabilistic_pca(rank: int) -> None:
    mixture, digits = images(rank=rank).mixture, load_digits()
    for label in range(10):
        pixels = digits.data[digits.target == label] / 8 - 1
        reference = PCA(n_components=rank).fit(pixels)
        axes, variances = mixture.axes[label].numpy(), mixture.variances[label].numpy()
        covariance = (axes * variances) @ axes.T + mixture.spreads[label].item() ** 2 * np.eye(64)
        unbiased = covariance * len(pixels) / (len(pixels) - 1)  # scikit-learn divides by n - 1
        np.testing.assert_allclose(unbiased, reference.get_covariance(), atol=1e-10)
        np.testing.assert_allclose(mixture.means[label], reference.mean_, atol=1e-12)


def test_rank_zero_is_isotropic_with_the_classs_mean_variance() -> None:
    mixture, digits = images(rank=0).mixture, load_digits()
    variances = [(digits.data[digits.target == label] / 8).var(axis=0).mean() for label in range(10)]
    np.testing.assert_allclose(mixture.spreads.square(), variances, rtol=1e-12)
    assert mixture.axes.shape == (10, 64, 0)


def test_every_mode_has_some_spread_at_the_highest_rank() -> None:
    assert images(rank=32).mixture.spreads.min() > 0.05


def test_images_lie_around_the_mean_of_their_digit() -> None:
    data, digits = images(num_train=20_000), load_digits()
    drawn, labels = data.train.at(slice(None))
    for label in range(10):
        expected = digits.data[digits.target == label].mean(axis=0) / 8 - 1
        np.testing.assert_allclose(drawn[labels == label].mean(dim=0).flatten(), expected, atol=0.06)
    assert (data.train.shape, data.num_classes, drawn.dtype) == ((1, 8, 8), 10, torch.float32)


def test_images_depend_on_their_seed_alone() -> None:
    torch.manual_seed(1)
    one = images()
    torch.manual_seed(2)
    assert torch.equal(one.train.stored, images().train.stored)
    assert not torch.equal(one.train.stored, images(seed=1).train.stored)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rank": -1}, "rank=-1 is invalid; valid: 0 to 32"),
        ({"rank": 33}, "rank=33 is invalid; valid: 0 to 32"),
        ({"num_train": 0}, "num_train=0 is invalid; valid: from 1"),
        ({"num_val": 0}, "num_val=0 is invalid; valid: from 1"),
    ],
)
def test_refuses_settings_out_of_range(changed: dict, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        images(**changed)
