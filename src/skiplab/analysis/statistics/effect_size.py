"""Effect sizes without a unit, and the correlation between arms."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from skiplab.analysis.statistics.intervals import constant_values, finite_values


def hedges_g(differences: ArrayLike) -> float:
    """The mean of paired differences over their standard deviation, corrected for small samples.

        g = J(n - 1) mean / sd,   J(m) = Γ(m / 2) / (√(m / 2) Γ((m - 1) / 2))

    nan below 3 differences, and where all are equal.

    Source: Hedges 1981, Distribution theory for Glass's estimator of effect size, eq. 6e.
    Differs from the source: sd is that of the differences (Cohen's d_z), since arms are paired by seed.
    """
    values = finite_values(differences)
    freedom = len(values) - 1
    if freedom < 2 or constant_values(values):  # the correction is 0 for two seeds
        return math.nan
    correction = math.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    return correction * float(values.mean() / values.std(ddof=1))


def probability_of_improvement(treatment: ArrayLike, control: ArrayLike) -> float:
    """The probability that a random seed of the treatment exceeds one of the control; nan where an arm has no value.

        P(X > Y) + P(X = Y) / 2

    Source: Agarwal et al. 2021, Deep reinforcement learning at the edge of the statistical precipice, section 4.3.
    """
    x, y = finite_values(treatment), np.sort(finite_values(control))
    if len(x) == 0 or len(y) == 0:
        return math.nan
    below, up_to = np.searchsorted(y, x, "left"), np.searchsorted(y, x, "right")
    return float((below + up_to).mean() / 2 / len(y))


def correlation(treatment: ArrayLike, control: ArrayLike) -> float:
    """Pearson's correlation between arms over seeds; nan below 3 seeds, or where an arm is constant."""
    a, b = np.asarray(treatment, dtype=float), np.asarray(control, dtype=float)
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if len(a) < 3 or constant_values(a) or constant_values(b):
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])
