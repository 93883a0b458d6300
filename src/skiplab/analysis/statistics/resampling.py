"""Resampling of paired differences: an interval and a test that assume no t distribution, given enough seeds."""

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from skiplab.analysis.statistics.intervals import Interval, constant_values, finite_values, paired_interval

FEWEST_FOR_BOOTSTRAP, FEWEST_FOR_PERMUTATION = 10, 6
_NUM_RESAMPLES = 9999
_MOST_FOR_ALL_SIGNS = 14
_MOST_FOR_RESAMPLING = 10_000


def bootstrap_interval(differences: ArrayLike, generator: np.random.Generator, level: float = 0.95) -> Interval | None:
    """Bias-corrected and accelerated bootstrap interval of the mean of paired differences.

    None below 10 seeds, where too few resamples differ for the interval to have its level, and where all differences
    are equal; and above 10,000 seeds, where the t interval is as good and resamples don't fit in memory.

    Source: Efron 1987, Better bootstrap confidence intervals, section 2.
    """
    values = finite_values(differences)
    if not FEWEST_FOR_BOOTSTRAP <= len(values) <= _MOST_FOR_RESAMPLING or constant_values(values):
        return None
    from scipy.stats import bootstrap  # a second of imports that few studies need

    found = bootstrap(
        (values,), np.mean, confidence_level=level, n_resamples=_NUM_RESAMPLES, method="BCa", rng=generator
    )
    return paired_interval(values)._replace(
        low=float(found.confidence_interval.low), high=float(found.confidence_interval.high)
    )


def permutation_p(differences: ArrayLike, margin: float) -> float:
    """One-sided p value of the null hypothesis that differences are symmetric around at most margin.

        p = the fraction of all 2^n signs with which sum(sign (d - margin)) is at least what it is with d's own signs

    Up to 14 seeds all signs are tried; beyond that 99,999 random ones, always the same, and the own ones. nan below 6
    seeds, where a two-sided p of 2 / 2^n can't reach .05, and above 10,000, where the signs don't fit in memory.

    Source: Fisher 1935, The design of experiments, section 21.
    """
    differences = finite_values(differences)
    values = differences - margin
    if not FEWEST_FOR_PERMUTATION <= len(values) <= _MOST_FOR_RESAMPLING:
        return math.nan
    signs = _signs(len(values))
    rounding = 1e-12 * float((np.abs(differences) + abs(margin)).sum())
    return float(np.mean(signs @ values >= values.sum() - rounding))


@cache
def _signs(n: int) -> np.ndarray:
    """Rows of n signs, the first of them all 1."""
    if n <= _MOST_FOR_ALL_SIGNS:
        return 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(np.int8)
    drawn = np.random.default_rng(0).integers(0, 2, (99_999, n), dtype=np.int8)
    return np.vstack([np.ones((1, n), np.int8), 1 - 2 * drawn])
