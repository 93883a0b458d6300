"""What resampling says of the same differences: methods without a t distribution, where there are seeds enough."""

from collections.abc import Sequence

import numpy as np

from skiplab.analysis.statistics.statistics import Interval, constant_values, finite_values, paired_interval

FEWEST_FOR_BOOTSTRAP, FEWEST_FOR_PERMUTATION = 10, 6
_NUM_RESAMPLES = 9999


def bootstrap_interval(
    differences: Sequence[float], generator: np.random.Generator, level: float = 0.95
) -> Interval | None:
    """Bias-corrected and accelerated bootstrap interval of the mean of paired differences.

    None below 10 seeds, where resamples are too few different ones to hold their level, and where all differences are
    equal.

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


def permutation_p(differences: Sequence[float], margin: float, generator: np.random.Generator) -> float | None:
    """One-sided p of 'differences lie around at most margin', from all 2^n signs of (difference - margin).

    Exact up to 13 seeds, from 9,999 random signs beyond. None below 6 seeds, where 2 / 2^n can't reach .05.

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
