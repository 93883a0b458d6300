"""What an elementwise activation makes of the covariances of normal numbers."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

_NUM_TERMS = 32  # of the Hermite series; the rest of it is one term of its own
_HALF_WIDTH, _STEP = 10.0, 0.01  # of the grid of the quadrature, in standard deviations
_LEAST = 1e-100  # of a standard deviation, so that a signal of zeros has correlations


class Activated(NamedTuple):
    """The numbers after the activation.

    cov: their covariances.
    mean: their means.
    odd: covariances of half the difference of each pair, if the numbers come in pairs z, -z of mean zero.
    """

    cov: Float[Tensor, "row row"]
    mean: Float[Tensor, " row"]
    odd: Float[Tensor, "row row"] | None


def activated(
    activation: Callable[[Tensor], Tensor],
    cov: Float[Tensor, "row row"],
    mean: Float[Tensor, " row"],
    odd: Float[Tensor, "row row"] | None = None,
) -> Activated:
    """The first two moments of phi(z), z normal with these covariances and means.

    With normalized Hermite polynomials h_n and x ~ N(0, 1),

        a_n(i) = E[phi(mean_i + s_i x) h_n(x)],   Cov(phi(z_i), phi(z_j)) = sum_{n>0} a_n(i) a_n(j) r_ij^n,

    s_i^2 = cov_ii, r_ij the correlation of z_i and z_j. The series is cut after 32 terms; one more term r^m stands for
    the rest, such that variance and slope at r = 1 are exact. The odd terms alone give the covariances of the odd part.
    The expectations are sums over a uniform grid, which takes kinks better than Gauss-Hermite nodes.

    The derivative with respect to cov holds the variances s_i^2 fixed: it is E[phi'(z_i) phi'(z_j)], by which the
    covariances of gradients go back through the activation. In pairs, a disturbance m, -m of the two numbers changes
    half their difference by the slope of phi's odd part, and a disturbance p, p by that of its even part.

    Source: Poole et al. 2016, arXiv:1606.05340, eq. 3 and 5 (length map, correlation map); the series: Daniely, Frostig
        and Singer 2016, arXiv:1602.05897, section 4.2 (dual activations).
    Differs from the source: the rest of the series in one term.
    """
    sigma = cov.detach().diagonal().clamp(min=0).sqrt().clamp(min=_LEAST)
    coefficients, rest, power = _coefficients(activation, sigma, mean.detach())
    result, difference = _Series.apply(cov, cov if odd is None else odd, sigma, coefficients, rest, power)
    return Activated(result, coefficients[0], None if odd is None else difference)


def _coefficients(
    activation: Callable[[Tensor], Tensor], sigma: Float[Tensor, " row"], mean: Float[Tensor, " row"]
) -> tuple[Float[Tensor, "term row"], Float[Tensor, " row"], Float[Tensor, " row"]]:
    """a_0 ... a_32, and the size and the power of the term that stands for the rest."""
    # Middles of the steps, so that none lies on a kink at 0, where the derivative is arbitrary.
    x = torch.arange(-_HALF_WIDTH + _STEP / 2, _HALF_WIDTH, _STEP, dtype=sigma.dtype, device=sigma.device)
    density = torch.exp(-x.square() / 2) * _STEP / math.sqrt(2 * math.pi)
    with torch.enable_grad():
        z = (mean[:, None] + sigma[:, None] * x).requires_grad_()
        values = activation(z)
        (slopes,) = torch.autograd.grad(values.sum(), z)
    values = values.detach()
    polynomials = [torch.ones_like(x), x]
    for n in range(1, _NUM_TERMS):
        polynomials.append((x * polynomials[n] - math.sqrt(n) * polynomials[n - 1]) / math.sqrt(n + 1))
    coefficients = torch.stack(polynomials).mul_(density) @ values.T
    squares = coefficients.square()
    numbers = torch.arange(_NUM_TERMS + 1, dtype=x.dtype, device=x.device)[:, None]
    whole = values.square() @ density
    rest = (whole - squares.sum(dim=0)).clamp(min=0)
    rest = torch.where(rest > 1e-12 * whole, rest, torch.zeros_like(rest))  # below, it is rounding
    slope = sigma.square() * (slopes.square() @ density) - (numbers * squares).sum(dim=0)
    power = torch.where(rest > 0, slope / rest.clamp(min=1e-300), torch.ones_like(rest)).clamp(min=_NUM_TERMS + 1)
    return coefficients, rest.sqrt(), power


class _Series(torch.autograd.Function):
    """The covariances after the activation and those of its odd part, with their derivatives computed at once."""

    @staticmethod
    def forward(
        ctx: Any, cov: Tensor, _: Tensor, sigma: Tensor, coefficients: Tensor, rest: Tensor, power: Tensor
    ) -> Any:
        scale = sigma[:, None] * sigma[None, :]
        r = (cov / scale).clamp(-1, 1)
        even, odd, even_slope, odd_slope = (torch.zeros_like(r) for _ in range(4))
        risen = torch.ones_like(r)  # r^(n-1)
        for n, own in enumerate(coefficients[1:], start=1):
            term = (own[:, None] * own[None, :]).mul_(risen)
            (odd_slope if n % 2 else even_slope).add_(term, alpha=n)
            (odd if n % 2 else even).addcmul_(term, r)
            risen.mul_(r)
        if rest.any():
            exponent = (power[:, None] * power[None, :]).sqrt()
            term = (rest[:, None] * rest[None, :]).mul_(r.abs().pow(exponent - 1))
            even_slope.addcmul_(term, exponent * r.sign())
            even.addcmul_(term, r.abs())
        ctx.save_for_backward(even_slope / scale, odd_slope / scale)
        return even + odd, odd

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        even, odd = ctx.saved_tensors
        return gradients[0] * (even + odd) + gradients[1] * even, gradients[1] * (odd - even), None, None, None, None
