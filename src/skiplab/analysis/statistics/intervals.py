"""The mean of a few values, with its interval from the t distribution."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit


class Interval(NamedTuple):
    """A mean with the interval that covers the true mean in `level` of repeated experiments.

    sd: standard deviation of the values.
    n: how many values there are; below 2, low and high are nan.
    constant: all values are equal, so that the interval is a point and says nothing about their spread.
    """

    mean: float
    low: float
    high: float
    sd: float
    n: int
    constant: bool


def paired_interval(differences: ArrayLike, level: float = 0.95) -> Interval:
    """The t interval of differences that are paired by seed.

        mean ± t_{(1 + level) / 2, n - 1} sd / √n

    Source: Student 1908, The probable error of a mean, section 7.
    """
    values = finite_values(differences)
    n = len(values)
    if n == 0:
        return no_interval(0)
    mean = float(values.mean())
    if n == 1:
        return no_interval(1)._replace(mean=mean)
    if constant_values(values):
        return Interval(mean, mean, mean, 0.0, n, True)
    sd = float(values.std(ddof=1))
    half = float(stdtrit(n - 1, (1 + level) / 2)) * sd / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, sd, n, False)


def welch_interval(treatment: ArrayLike, control: ArrayLike, level: float = 0.95) -> Interval:
    """The interval of the difference of two means, without pairing and with unequal variances; n counts both arms.

    Source: Welch 1947, The generalization of 'Student's' problem, eq. 28.
    """
    a, b = finite_values(treatment), finite_values(control)
    return sum_interval([a, -b], level)._replace(n=len(a) + len(b))


def unpaired_interval(treatment: ArrayLike, control: ArrayLike, level: float = 0.95) -> Interval:
    """The interval of `welch_interval` as that of differences between seeds of the two arms.

    n: the values of the smaller arm. sd: of such a difference, √(sd_treatment^2 + sd_control^2).
    """
    a, b = finite_values(treatment), finite_values(control)
    n = min(len(a), len(b))
    sd = math.hypot(a.std(ddof=1), b.std(ddof=1)) if n > 1 else math.nan
    return sum_interval([a, -b], level)._replace(sd=sd)


def sum_interval(samples: Sequence[ArrayLike], level: float = 0.95) -> Interval:
    """The interval of the sum of the means of independent samples, with unequal variances, see `combined_error`.

    n: the values of the smallest sample. sd: the standard error of the sum.
    """
    own = [finite_values(values) for values in samples]
    n = min(map(len, own))
    if n == 0:
        return no_interval(0)
    mean = float(sum(values.mean() for values in own))
    if n == 1:
        return no_interval(1)._replace(mean=mean)
    if all(map(constant_values, own)):
        return Interval(mean, mean, mean, 0.0, n, True)
    error, freedom = combined_error(own)
    half = float(stdtrit(freedom, (1 + level) / 2)) * error
    return Interval(mean, mean - half, mean + half, error, n, False)


def combined_error(samples: Sequence[np.ndarray]) -> tuple[float, float]:
    """The standard error of the sum of the means of independent samples, and its degrees of freedom.

        v_i = sd_i^2 / n_i,   error = √(sum_i v_i),   freedom = (sum_i v_i)^2 / sum_i (v_i^2 / (n_i - 1))

    Source: Satterthwaite 1946, An approximate distribution of estimates of variance components, eq. 17 (from memory).

    Args:
        samples: at least two values each, not all of them constant.
    """
    variances = [values.var(ddof=1) / len(values) for values in samples]
    total = sum(variances)
    pairs = zip(variances, samples, strict=True)
    return math.sqrt(total), total**2 / sum(variance**2 / (len(values) - 1) for variance, values in pairs)


def no_interval(n: int = 0) -> Interval:
    """The interval of n values that give none: all nan."""
    return Interval(math.nan, math.nan, math.nan, math.nan, n, False)


def finite_values(values: ArrayLike) -> np.ndarray:
    """The values as an array, without nan and infinities."""
    array = np.asarray(values, dtype=float)
    return array[np.isfinite(array)]


def constant_values(values: np.ndarray) -> bool:
    """Whether all values are equal up to rounding."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())
