"""The exact denoiser is the posterior mean: by integration, by Tweedie's formula, and on draws from the mixture."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from skiplab.data.mixture import Mixture

ALPHA = torch.tensor([0.99, 0.8, 0.5, 0.1], dtype=torch.float64)
SIGMA = torch.tensor([0.14, 0.6, 0.9, 1.2], dtype=torch.float64)


def mixture(num_modes: int, dimension: int, rank: int) -> Mixture:
    """Modes of unlike spreads, axes and variances."""
    generator = torch.Generator().manual_seed(0)
    axes, _ = torch.linalg.qr(torch.randn(num_modes, dimension, dimension, generator=generator, dtype=torch.float64))
    return Mixture(
        means=torch.randn(num_modes, dimension, generator=generator, dtype=torch.float64),
        spreads=0.2 + 0.3 * torch.rand(num_modes, generator=generator, dtype=torch.float64),
        axes=axes[:, :, :rank],
        variances=torch.rand(num_modes, rank, generator=generator, dtype=torch.float64),
    )


def covariances(of: Mixture) -> np.ndarray:
    low_rank = of.axes @ torch.diag_embed(of.variances) @ of.axes.mT
    return (low_rank + of.spreads[:, None, None] ** 2 * torch.eye(of.means.shape[1])).numpy()


def density(of: Mixture, points: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
    """p(x_t) by SciPy, mode by mode."""
    eye = np.eye(of.means.shape[1])
    return np.mean(
        [
            multivariate_normal(alpha * mean, alpha**2 * covariance + sigma**2 * eye).pdf(points)
            for mean, covariance in zip(of.means.numpy(), covariances(of), strict=True)
        ],
        axis=0,
    )


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_denoiser_is_the_posterior_mean_by_integration_over_the_plane(rank: int) -> None:
    of = mixture(num_modes=3, dimension=2, rank=rank)
    line = np.linspace(-8, 8, 801)
    grid = np.stack(np.meshgrid(line, line), axis=2).reshape(-1, 2)
    prior = density(of, grid, 1, 0)
    x_t = torch.tensor([[0.3, -0.2], [1.0, 0.5], [-1.5, 0.1], [0.0, 2.0]], dtype=torch.float64)
    expected = []
    for point, alpha, sigma in zip(x_t.numpy(), ALPHA.numpy(), SIGMA.numpy(), strict=True):
        posterior = prior * np.exp(-((point - alpha * grid) ** 2).sum(axis=1) / (2 * sigma**2))
        expected.append(posterior @ grid / posterior.sum())
    found = of.exact_denoiser(x_t, ALPHA[:, None], SIGMA[:, None])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("dimension", "rank"), [(2, 0), (6, 2), (6, 6)])
def test_log_density_is_scipys(dimension: int, rank: int) -> None:
    of = mixture(num_modes=4, dimension=dimension, rank=rank)
    x_t = torch.randn(4, dimension, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = [
        np.log(density(of, point, alpha, sigma))
        for point, alpha, sigma in zip(x_t.numpy(), ALPHA.numpy(), SIGMA.numpy(), strict=True)
    ]
    np.testing.assert_allclose(of.log_density(x_t, ALPHA, SIGMA).numpy(), np.array(expected), rtol=1e-10)


@pytest.mark.parametrize("rank", [0, 3])
def test_denoiser_obeys_tweedies_formula(rank: int) -> None:
    """alpha E[x0 | x_t] = x_t + sigma^2 grad log p(x_t), with the gradient by autograd."""
    of = mixture(num_modes=5, dimension=9, rank=rank)
    x_t = torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    alpha, sigma = ALPHA.view(-1, 1, 1, 1), SIGMA.view(-1, 1, 1, 1)
    (score,) = torch.autograd.grad(of.log_density(x_t, alpha, sigma).sum(), x_t)
    expected = (x_t + sigma**2 * score) / alpha
    torch.testing.assert_close(of.exact_denoiser(x_t, alpha, sigma), expected, rtol=1e-10, atol=1e-10)


def test_its_errors_on_draws_are_uncorrelated_with_all_that_x_t_says() -> None:
    """E[(x0 - E[x0 | x_t]) g(x_t)] = 0 for every g; the standard error is known from the draws."""
    of, count = mixture(num_modes=3, dimension=2, rank=1), 100_000
    generator = torch.Generator().manual_seed(1)
    x0 = of.draw(count, (2,), generator).stored.double()
    x_t = 0.8 * x0 + 0.6 * torch.randn(count, 2, generator=generator, dtype=torch.float64)
    errors = x0 - of.exact_denoiser(x_t, torch.tensor(0.8), torch.tensor(0.6))
    for said in (torch.ones_like(x_t), x_t, x_t.flip(1), x_t.square(), x_t.sin(), (x_t.sum(1, keepdim=True) > 0)):
        products = errors * said
        assert (products.mean(dim=0).abs() < 4 * products.std(dim=0) / count**0.5).all()
    assert errors.square().mean() < 0.5 * (x_t / 0.8 - x0).square().mean()


def test_draws_have_each_modes_mean_and_covariance() -> None:
    of, count = mixture(num_modes=3, dimension=4, rank=2), 60_000
    split = of.draw(count, (4,), torch.Generator().manual_seed(0))
    for mode, covariance in enumerate(covariances(of)):
        own = split.stored[split.labels == mode].double().numpy()
        assert len(own) / count == pytest.approx(1 / 3, abs=0.01)
        np.testing.assert_allclose(own.mean(axis=0), of.means[mode], atol=0.04)
        np.testing.assert_allclose(np.cov(own, rowvar=False), covariance, atol=0.04)


def test_one_level_for_all_equals_one_a_sample() -> None:
    of = mixture(num_modes=3, dimension=4, rank=2)
    x_t = torch.randn(5, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    alpha, sigma = torch.tensor(0.7), torch.tensor(0.4)
    each = of.exact_denoiser(x_t, alpha.expand(5, 1, 1, 1), sigma.expand(5, 1, 1, 1))
    assert torch.equal(of.exact_denoiser(x_t, alpha, sigma), each)
    assert (each.dtype, each.shape) == (torch.float32, x_t.shape)


def test_far_away_and_almost_without_noise_it_stays_finite() -> None:
    of = mixture(num_modes=3, dimension=64, rank=4)
    x_t = 1e4 * torch.randn(8, 64, generator=torch.Generator().manual_seed(1))
    for alpha, sigma in ((1.0, 1e-6), (1e-4, 1.0), (0.7, 0.7)):
        assert of.exact_denoiser(x_t, torch.tensor(alpha), torch.tensor(sigma)).isfinite().all()


def test_without_noise_it_is_x_t_and_without_signal_the_mean() -> None:
    of = mixture(num_modes=3, dimension=4, rank=2)
    x_t = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    one, zero = torch.tensor(1.0), torch.tensor(0.0)
    torch.testing.assert_close(of.exact_denoiser(x_t, one, zero), x_t)
    torch.testing.assert_close(of.exact_denoiser(x_t, zero, one), of.means.mean(dim=0).expand(5, 4))
