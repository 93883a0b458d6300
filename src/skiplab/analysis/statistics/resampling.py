"""Resampling of paired differences: an interval and a test that assume no t distribution, given enough seeds."""

import numpy as np
from numpy.typing import ArrayLike

from skiplab.analysis.statistics.intervals import Interval, constant_values, finite_values, paired_interval

FEWEST_FOR_BOOTSTRAP, FEWEST_FOR_PERMUTATION = 10, 6
_NUM_RESAMPLES = 9999


def bootstrap_interval(differences: ArrayLike, generator: np.random.Generator, level: float = 0.95) -> Interval | None:
    """Bias-corrected and accelerated bootstrap interval of the mean of paired differences.

    None below 10 seeds, where too few resamples differ for the interval to have its level, and where all differences
    are equal.

    Source: Efron 1987, Better bootstrap confidence intervals, section 2.
    """
    values = finite_values(differences)
    if len(values) < FEWEST_FOR_BOOTSTRAP or constant_values(values):
        return None
    from scipy.stats import bootstrap  # a second of imports that few studies need

    found = bootstrap(
        (values,), np.mean, confidence_level=level, n_resamples=_NUM_RESAMPLES, method="BCa", rng=generator
    )
    return paired_interval(values)._replace(
        low=float(found.confidence_interval.low), high=float(found.confidence_interval.high)
    )


def permutation_p(differences: ArrayLike, margin: float, generator: np.random.Generator) -> float | None:
    """One-sided p value of the null hypothesis that differences are symmetric around at most margin.

    All 2^n signs of (difference - margin) are tried up to 13 seeds, beyond that 9,999 random ones. None below 6 seeds,
    where a two-sided p of 2 / 2^n can't reach .05.

    Source: Fisher 1935, The design of experiments, section 21.
    """
    values = finite_values(differences) - margin
    if len(values) < FEWEST_FOR_PERMUTATION:
        return None
    from scipy.stats import permutation_test

    found = permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=_NUM_RESAMPLES, alternative="greater", rng=generator
    )
    return float(found.pvalue)
