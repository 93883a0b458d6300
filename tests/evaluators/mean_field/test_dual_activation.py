"""The arccosine formulas of the rectifier, and quadrature over two dimensions for other activations."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from skiplab.evaluators.mean_field.dual_activation import activated

CORRELATIONS = np.array([-0.9, -0.3, 0.0, 0.2, 0.7, 0.95, 0.999])


def pair(correlation: float, first: float, second: float) -> torch.Tensor:
    """Covariances of two numbers with these standard deviations."""
    shared = correlation * first * second
    return torch.tensor([[first**2, shared], [shared, second**2]], dtype=torch.double)


def zeros() -> torch.Tensor:
    return torch.zeros(2, dtype=torch.double)


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_the_rectifiers_moments_and_slopes_are_the_arccosine_formulas(correlation: float) -> None:
    """Cho and Saul 2009: E[relu(u) relu(v)] and E[relu'(u) relu'(v)] of normal u, v by their angle."""
    cov = pair(correlation, 2.0, 0.5).requires_grad_()
    found = activated(nn.ReLU(), cov, zeros())
    moment = found.cov + found.mean[:, None] * found.mean[None, :]
    angle = math.acos(correlation)
    expected = (math.sin(angle) + (math.pi - angle) * correlation) / (2 * math.pi)
    assert moment[0, 1].item() == pytest.approx(expected, abs=1e-4)
    assert moment.diagonal().tolist() == pytest.approx([2.0, 0.125], rel=1e-4)
    (slopes,) = torch.autograd.grad(found.cov.sum(), cov)
    assert slopes[0, 1].item() == pytest.approx((math.pi - angle) / (2 * math.pi), abs=5e-3)
    assert slopes.diagonal().tolist() == pytest.approx([0.5, 0.5], rel=1e-4)


@pytest.mark.parametrize("correlation", CORRELATIONS[1:6])
@pytest.mark.parametrize("activation", [nn.SiLU(), nn.GELU(), nn.Tanh(), nn.LeakyReLU(0.1)])
def test_other_activations_equal_a_sum_over_two_dimensions(activation: nn.Module, correlation: float) -> None:
    deviations, means = (1.5, 0.7), (0.4, -0.2)
    x = np.arange(-7.98, 8, 0.04)
    weight = np.exp(-(x**2) / 2) * 0.04 / math.sqrt(2 * math.pi)
    first = means[0] + deviations[0] * x[:, None]
    second = means[1] + deviations[1] * (correlation * x[:, None] + math.sqrt(1 - correlation**2) * x[None, :])
    at_first, at_second = (activation(torch.tensor(z)).numpy() for z in (first, second))
    both = weight[:, None] * weight[None, :]
    expected = (both * at_first * at_second).sum() - (both * at_first).sum() * (both * at_second).sum()
    found = activated(activation, pair(correlation, *deviations), torch.tensor(means, dtype=torch.double))
    assert found.cov[0, 1].item() == pytest.approx(expected, abs=3e-4)
    assert found.mean.tolist() == pytest.approx([(both * at_first).sum(), (both * at_second).sum()], abs=3e-4)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.SiLU(), nn.GELU()])
def test_pairs_of_opposite_sign_keep_their_difference(activation: nn.Module) -> None:
    """phi(z) - phi(-z) = z, so half of it has a quarter of the covariances."""
    cov = pair(0.3, 1.2, 0.8)
    found = activated(activation, cov, zeros(), cov.clone())
    assert found.odd is not None
    assert torch.allclose(found.odd, cov / 4, rtol=1e-4)


def test_slopes_of_pairs_are_those_of_numbers_drawn_for_it() -> None:
    """Half the difference of phi(z + m + p) and phi(-z - m + p) moves by the odd slope of m and the even slope of p."""
    z = torch.randn(400_000, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    up, down = (torch.autograd.functional.jvp(nn.SiLU(), sign * z, torch.ones_like(z))[1] for sign in (1, -1))
    cov = torch.ones(1, 1, dtype=torch.double, requires_grad=True)
    odd = torch.ones(1, 1, dtype=torch.double, requires_grad=True)
    found = activated(nn.SiLU(), cov, torch.zeros(1, dtype=torch.double), odd)
    by_cov, by_odd = torch.autograd.grad(found.odd, (cov, odd))
    for opposite, slope in ((True, (up + down) / 2), (False, (up - down) / 2)):
        # m changes cov and odd by its square, p changes cov alone.
        expected = by_cov + by_odd if opposite else by_cov
        assert slope.square().mean().item() == pytest.approx(expected.item(), rel=0.01)


def test_numbers_without_variance_pass_as_they_are() -> None:
    found = activated(nn.SiLU(), torch.zeros(2, 2, dtype=torch.double), torch.tensor([0.0, 1.0], dtype=torch.double))
    assert found.mean.tolist() == pytest.approx([0.0, 1 / (1 + math.exp(-1))])
    assert found.cov.abs().max() == pytest.approx(0.0, abs=1e-12)
