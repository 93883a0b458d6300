"""Expectations over a standard normal variable, from which the kernel maps of an activation follow.

For x of variance 1 at each unit, and weights that preserve it, an activation f maps the cosine c of two inputs to
C(c) = E[f(z) f(z')] / E[f(z)^2], with z and z' standard normal of correlation c. So C(0) = E[f]^2 / E[f^2],
C'(1) = E[f'^2] / E[f^2] and C''(1) = E[f''^2] / E[f^2]. The variance q becomes Q(q) = E[f(sqrt(q) z)^2], so that
Q'(1) = E[f(z) f'(z) z].

Source: Poole et al. 2016, arXiv:1606.05340, eq. 3 and 5; in this notation: Martens et al. 2021, Deep Kernel Shaping,
    arXiv:2110.01765.
Differs from the source: none.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple, cast

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

_NUM_NODES = 400
_RANGE = 12.0  # beyond it, the normal density is below 1e-31


@cache
def _nodes() -> tuple[Tensor, Tensor]:
    """Gauss-Legendre nodes and weights for the normal density, half on each side of 0, where rectifiers have a kink."""
    nodes, weights = (torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(_NUM_NODES // 2))
    right = (nodes + 1) * _RANGE / 2
    density = weights * _RANGE / 2 * torch.exp(-(right**2) / 2) / math.sqrt(2 * math.pi)
    return torch.cat([-right.flip(0), right]), torch.cat([density.flip(0), density])


def mean(values: Tensor) -> float:
    """E[v(z)], from the values at the nodes."""
    return (_nodes()[1] * values).sum().item()


def derivatives(f: Callable[[Tensor], Tensor], order: int, variance: float = 1.0) -> list[Tensor]:
    """x = sqrt(variance) z at the nodes z, f(x) and its derivatives to an order, in float64."""
    with torch.enable_grad():
        z = (_nodes()[0] * math.sqrt(variance)).requires_grad_()
        found = [f(z)]
        for _ in range(order):
            found += torch.autograd.grad(found[-1].sum(), z, create_graph=True)
    return [each.detach() for each in (z, *found)]


class CriticalPoint(NamedTuple):
    """Variances of weights (times fan-in), of biases and of the stream."""

    weight: float
    bias: float
    stream: float


def critical_point(f: Callable[[Tensor], Tensor]) -> CriticalPoint:
    """Where the stream keeps its variance q, and both cosines and variances have the slope 1 from layer to layer.

        weight E[f'(x)^2] = 1;  weight E[f(x)^2] + bias = q;  E[f(x) f''(x)] = 0,  with x ~ N(0, q)

    Variances between 1 and 100 are searched. Where none of them meets the last condition, q = 1.

    Source: the first condition, chi_1 = 1: Schoenholz et al. 2017, Deep Information Propagation, arXiv:1611.01232,
        section 3; the last one, by which chi_parallel = 1 too: Roberts, Yaida and Hanin 2021, The Principles of Deep
        Learning Theory, arXiv:2106.10165, section 5.3 (from memory).
    """

    def excess(variance: float) -> float:
        _, value, _, curvature = derivatives(f, 2, variance)
        return mean(value * curvature)

    at_1 = excess(1.0)
    crosses = abs(at_1) > 1e-9 and at_1 * excess(100.0) < 0
    stream = cast("float", brentq(excess, 1.0, 100.0)) if crosses else 1.0
    _, value, slope = derivatives(f, 1, stream)
    weight = 1 / mean(slope * slope)
    return CriticalPoint(weight, max(stream - weight * mean(value * value), 0.0), stream)
