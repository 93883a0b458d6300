"""One-sided t tests of paired differences, and Holm's adjustment for many tests."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from skiplab.analysis.statistics.intervals import combined_error, constant_values, finite_values
from skiplab.analysis.statistics.resampling import permutation_p


def p_above(differences: ArrayLike, margin: float) -> float:
    """One-sided p value of the null hypothesis that the true mean is at most margin; nan below 2 differences.

        p = P(T_{n-1} >= (mean - margin) √n / sd)

    Where all differences are equal, they say nothing about their spread, and p is that of `permutation_p`: 1 / 2^n if
    they exceed the margin, else 1; and 1 below 6 differences.
    """
    values = finite_values(differences)
    if len(values) < 2:
        return math.nan
    if constant_values(values):
        p = permutation_p(values, margin)
        return 1.0 if math.isnan(p) else p
    t = (values.mean() - margin) * math.sqrt(len(values)) / values.std(ddof=1)
    return float(stdtr(len(values) - 1, -t))


def p_above_unpaired(treatment: ArrayLike, control: ArrayLike, margin: float) -> float:
    """One-sided p value of the null hypothesis that the true means differ by at most margin, without pairing.

    Source: Welch 1947, The generalization of 'Student's' problem, eq. 28.
    """
    return p_sum_above([np.asarray(treatment, dtype=float), -np.asarray(control, dtype=float)], margin)


def p_sum_above(samples: Sequence[ArrayLike], margin: float) -> float:
    """One-sided p value of the null hypothesis that the true means of independent samples sum to at most margin.

        p = P(T_f >= (sum of means - margin) / error),   f, error of `combined_error`

    nan below 2 values in a sample; 1 where all samples are constant, which says nothing about their spread.
    """
    own = [finite_values(values) for values in samples]
    if min(map(len, own)) < 2:
        return math.nan
    if all(map(constant_values, own)):
        return 1.0
    error, freedom = combined_error(own)
    return float(stdtr(freedom, -(sum(values.mean() for values in own) - margin) / error))


def p_below(differences: ArrayLike, margin: float) -> float:
    """One-sided p value of the null hypothesis that the true mean is at least margin."""
    return p_above(-np.asarray(differences, dtype=float), -margin)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm-adjusted p values, in the order given.

        adjusted_(i) = max over j <= i of min(1, (m - j) p_(j)),   p_(0) <= ... <= p_(m - 1)

    Source: Holm 1979, A simple sequentially rejective multiple test procedure, section 3.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
