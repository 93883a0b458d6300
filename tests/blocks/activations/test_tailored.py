"""Activations chosen by depth: their conditions hold, and wide plain networks behave as the kernel maps predict."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skiplab.blocks.activations.shaped_silu import ShapedSiLU
from skiplab.blocks.activations.tailored_relu import TailoredReLU
from skiplab.blocks.activations.tailored_silu import TailoredSiLU
from skiplab.blocks.tailored_activation import TailoredActivation
from skiplab.errors import SkiplabError
from small_networks import DATA, small
from tiny_trials import network

DEPTHS = [4, 33, 257]


def tailored(activation: TailoredActivation, num_activations: int) -> TailoredActivation:
    activation.tailor(num_activations)
    return activation


def hermite_squares(f: nn.Module) -> Tensor:
    """Squares of the coefficients of f over normalized Hermite polynomials: C(c) is their power series in c.

    By Gauss-Hermite quadrature; f must be smooth.
    """
    nodes, weights = (torch.from_numpy(each) for each in np.polynomial.hermite_e.hermegauss(120))
    values = f(nodes) * weights / math.sqrt(2 * math.pi)
    previous, polynomial = torch.zeros_like(nodes), torch.ones_like(nodes)
    squares = []
    for degree in range(40):
        squares.append((values * polynomial).sum() ** 2)
        following = (nodes * polynomial - math.sqrt(degree) * previous) / math.sqrt(degree + 1)
        previous, polynomial = polynomial, following
    return torch.stack(squares)


def variance_slope(f: nn.Module) -> float:
    """Q'(1), by a central difference of Q(q) = E[f(sqrt(q) z)^2]."""
    nodes, weights = (torch.from_numpy(each) for each in np.polynomial.hermite_e.hermegauss(120))
    q = [(f(nodes * math.sqrt(1 + h)).square() * weights).sum() / math.sqrt(2 * math.pi) for h in (1e-4, -1e-4)]
    return ((q[0] - q[1]) / 2e-4).item()


@pytest.mark.parametrize("function", ["silu", "gelu"])
@pytest.mark.parametrize("num_activations", DEPTHS)
def test_shaped_activations_meet_the_four_conditions(function: str, num_activations: int) -> None:
    f = tailored(ShapedSiLU(function=function, zeta=1.5), num_activations)
    squares, degrees = hermite_squares(f), torch.arange(40)
    assert squares.sum().item() == pytest.approx(1, abs=1e-7)
    assert squares[0].item() == pytest.approx(0, abs=1e-9)
    assert (squares * degrees).sum().item() ** num_activations == pytest.approx(1.5, rel=1e-5)
    assert variance_slope(f) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("function", ["silu", "gelu"])
@pytest.mark.parametrize("num_activations", DEPTHS)
def test_tailored_smooth_activations_meet_the_four_conditions(function: str, num_activations: int) -> None:
    f = tailored(TailoredSiLU(function=function, tau=0.3), num_activations)
    squares, degrees = hermite_squares(f), torch.arange(40)
    assert squares.sum().item() == pytest.approx(1, abs=1e-7)
    assert (squares * degrees).sum().item() == pytest.approx(1, abs=1e-7)
    curvature = (squares * degrees * (degrees - 1)).sum().item()
    assert num_activations * curvature == pytest.approx(0.3, rel=1e-4)
    assert variance_slope(f) == pytest.approx(1, abs=1e-6)


def cosine_after(f: nn.Module, num_activations: int) -> float:
    """The cosine of orthogonal inputs after so many rectifiers, by integrals over the angle.

    For a homogeneous f, z = r cos(t) and z' = r cos(t - angle), so that E[f(z) f(z')] is twice the mean over t.
    """
    t = torch.arange(20_000, dtype=torch.float64) * (2 * math.pi / 20_000)
    power, cosine = f(t.cos()).square().mean(), 0.0
    for _ in range(num_activations):
        cosine = ((f(t.cos()) * f((t - math.acos(cosine)).cos())).mean() / power).item()
    return cosine


@pytest.mark.parametrize("num_activations", [33, 129])
def test_orthogonal_inputs_reach_eta_at_the_last_leaky_rectifier(num_activations: int) -> None:
    f = tailored(TailoredReLU(eta=0.9), num_activations)
    assert f.slope > 0.1
    assert cosine_after(f, num_activations) == pytest.approx(0.9, abs=1e-5)
    assert cosine_after(nn.ReLU(), num_activations) > 0.95
    z = torch.linspace(-30, 30, 60_001, dtype=torch.float64)
    density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    assert (f(z).square() * density).sum().item() * 1e-3 == pytest.approx(1, abs=1e-6)


def test_slopes_grow_with_depth_and_shallow_networks_keep_relu() -> None:
    slopes = [tailored(TailoredReLU(eta=0.9), count).slope for count in (1, 5, 33, 129, 1025)]
    assert slopes[:2] == [0, 0]
    assert slopes[1] < slopes[2] < slopes[3] < slopes[4] < 1


@torch.no_grad()
def last_cosine(f: nn.Module, num_activations: int, width: int = 600) -> float:
    """The mean cosine of 16 orthogonal inputs after the last activation of a plain network with normal weights."""
    generator = torch.Generator().manual_seed(0)
    x = math.sqrt(width) * torch.eye(width)[:16]
    for _ in range(num_activations):
        x = f(x @ torch.randn(width, width, generator=generator) / math.sqrt(width))
    x = x / x.norm(dim=1, keepdim=True)
    return ((x @ x.T).sum().item() - 16) / (16 * 15)


def test_wide_plain_networks_keep_orthogonal_inputs_at_the_predicted_cosine() -> None:
    smooth = tailored(TailoredSiLU(function="silu", tau=0.3), 41)
    series, cosine = hermite_squares(smooth), 0.0
    for _ in range(41):
        cosine = (series * cosine ** torch.arange(40)).sum().item()
    assert 0 < cosine < 0.3
    assert last_cosine(smooth, 41) == pytest.approx(cosine, abs=0.03)
    assert last_cosine(tailored(TailoredReLU(eta=0.9), 41), 41) == pytest.approx(0.9, abs=0.03)
    assert last_cosine(nn.ReLU(), 41) > 0.96  # untransformed, they can hardly be told apart


@pytest.mark.parametrize(
    ("choices", "count"),
    [
        ({"backbone": "isotropic", "branch": "preact", "depth": 6}, 13),
        ({"backbone": "isotropic", "branch": "preact", "depth": 6, "connection": "identity"}, 13),
        ({"backbone": "isotropic", "branch": "mlp", "depth": 6}, 7),
        ({"backbone": "isotropic", "branch": "basic", "depth": 6}, 13),
        ({"backbone": "unet", "branch": "bottleneck", "depth": 8}, 25),
    ],
)
def test_a_network_gives_its_activations_the_number_of_them_on_its_path(choices: dict, count: int) -> None:
    model = network(small(activation="tailored_silu", long_skip="none", **choices), DATA["images"])
    found = {module.constants for module in model.modules() if isinstance(module, TailoredSiLU)}
    assert found == {tailored(TailoredSiLU(function="silu", tau=0.3), count).constants}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TailoredReLU(eta=1.0), r"activation\.eta=1\.0 is invalid; valid: a number above 0 and below 1"),
        (lambda: ShapedSiLU(function="silu", zeta=1.0), r"activation\.zeta=1\.0 is invalid; valid: a number above 1"),
        (lambda: TailoredSiLU(function="silu", tau=0.0), r"activation\.tau=0\.0 is invalid; valid: a number above 0"),
        (lambda: TailoredSiLU(function="relu", tau=0.3), r"activation\.function=relu is invalid; valid: silu, gelu"),
        (
            lambda: tailored(ShapedSiLU(function="silu", zeta=9.0), 1),
            "take another depth, or a smaller activation.zeta",
        ),
    ],
)
def test_invalid_constants_are_refused(make, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        make()
