"""How large an effect is in units that no metric has, and how often something happens, with exact intervals."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv, gammaln

from skiplab.analysis.statistics.statistics import constant_values, finite_values


def hedges_g(differences: Sequence[float]) -> float:
    """Mean of paired differences over their standard deviation, corrected for few seeds; nan below 3 or without spread.

        g = J(n - 1) mean / sd,   J(m) = Γ(m / 2) / (√(m / 2) Γ((m - 1) / 2))

    Source: Hedges 1981, Distribution theory for Glass's estimator of effect size, eq. 6e.
    Differs from the source: sd is that of the differences (Cohen's d_z), since arms are paired by seed.
    """
    values = finite_values(differences)
    freedom = len(values) - 1
    if freedom < 2 or constant_values(values):  # the correction is 0 for two seeds
        return math.nan
    correction = math.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    return correction * float(values.mean() / values.std(ddof=1))


def probability_of_improvement(better: Sequence[float], than: Sequence[float]) -> float:
    """P(X > Y) + P(X = Y) / 2 for a seed of each arm drawn at random; nan where an arm has no value.

    Source: Agarwal et al. 2021, Deep reinforcement learning at the edge of the statistical precipice, section 4.3.
    """
    x, y = finite_values(better), np.sort(finite_values(than))
    if len(x) == 0 or len(y) == 0:
        return math.nan
    below, up_to = np.searchsorted(y, x, "left"), np.searchsorted(y, x, "right")
    return float((below + up_to).mean() / 2 / len(y))


class Rate(NamedTuple):
    """So many of n, and the interval of the share; low and high are nan where n is 0."""

    count: int
    n: int
    low: float
    high: float


def exact_rate(count: int, n: int, level: float = 0.95) -> Rate:
    """A share with the interval whose ends make so few, or so many, just as rare as the level allows.

    Source: Clopper and Pearson 1934, The use of confidence or fiducial limits, section 3.
    """
    if n == 0:
        return Rate(0, 0, math.nan, math.nan)
    tail = (1 - level) / 2
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return Rate(count, n, low, high)
