"""Intervals and tests behind verdicts: pure functions of a few numbers, all against a t distribution."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import chdtri, stdtr, stdtrit

MOST_SEEDS = 1000  # beyond this many seeds, more of them are no way to decide


class Interval(NamedTuple):
    """A mean with the interval that holds the true mean in `level` of repetitions.

    sd: standard deviation of the values.  n: how many there are; with fewer than 2 low and high are nan.
    constant: all values are equal, so the interval is that point and says nothing of how they would spread.
    """

    mean: float
    low: float
    high: float
    sd: float
    n: int
    constant: bool


def paired_interval(differences: Sequence[float], level: float = 0.95) -> Interval:
    """mean ± t_{(1 + level) / 2, n - 1} sd / √n of differences that are paired by seed.

    Source: Student 1908, The probable error of a mean, section 7.
    """
    values = finite_values(differences)
    n = len(values)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, math.nan, 0, False)
    mean = float(values.mean())
    if n == 1:
        return Interval(mean, math.nan, math.nan, math.nan, 1, False)
    if constant_values(values):
        return Interval(mean, mean, mean, 0.0, n, True)
    sd = float(values.std(ddof=1))
    half = float(stdtrit(n - 1, (1 + level) / 2)) * sd / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, sd, n, False)


def p_above(differences: Sequence[float], margin: float) -> float:
    """One-sided p of 'the true mean is at most margin'; nan with fewer than 2 differences.

        p = P(T_{n-1} >= (mean - margin) √n / sd)

    Differences that are all equal give 0 above the margin and 1 elsewhere: the limit of sd to 0.
    """
    values = finite_values(differences)
    if len(values) < 2:
        return math.nan
    if constant_values(values):
        return 0.0 if values.mean() > margin else 1.0
    t = (values.mean() - margin) * math.sqrt(len(values)) / values.std(ddof=1)
    return float(stdtr(len(values) - 1, -t))


def p_below(differences: Sequence[float], margin: float) -> float:
    """One-sided p of 'the true mean is at least margin'."""
    return p_above(-np.asarray(differences, dtype=float), -margin)


def welch_interval(treatment: Sequence[float], control: Sequence[float], level: float = 0.95) -> Interval:
    """Interval of the difference of two means without pairing, the variances unequal; n counts both arms.

    Source: Welch 1947, The generalization of 'Student's' problem, eq. 28.
    """
    a, b = finite_values(treatment), finite_values(control)
    n = len(a) + len(b)
    if len(a) == 0 or len(b) == 0:
        return Interval(math.nan, math.nan, math.nan, math.nan, n, False)
    mean = float(a.mean() - b.mean())
    if len(a) < 2 or len(b) < 2:
        return Interval(mean, math.nan, math.nan, math.nan, n, False)
    if constant_values(a) and constant_values(b):
        return Interval(mean, mean, mean, 0.0, n, True)
    share_a, share_b = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    freedom = (share_a + share_b) ** 2 / (share_a**2 / (len(a) - 1) + share_b**2 / (len(b) - 1))
    half = float(stdtrit(freedom, (1 + level) / 2) * math.sqrt(share_a + share_b))
    return Interval(mean, mean - half, mean + half, math.sqrt(share_a + share_b), n, False)


def correlation(treatment: Sequence[float], control: Sequence[float]) -> float:
    """Pearson's correlation between arms over seeds; nan below 3 seeds or where an arm doesn't vary."""
    a, b = np.asarray(treatment, dtype=float), np.asarray(control, dtype=float)
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if len(a) < 3 or constant_values(a) or constant_values(b):
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def within_margin(differences: Sequence[float], margin: float, alpha: float = 0.05) -> bool:
    """Two one-sided tests at alpha: the 1 - 2 alpha interval lies strictly within ± margin.

    Source: Schuirmann 1987, A comparison of the two one-sided tests procedure, section 2.
    """
    interval = paired_interval(differences, level=1 - 2 * alpha)
    return -margin < interval.low and interval.high < margin


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values, in the order given: max over j <= i of min(1, (m - j) p_(j)), j from 0.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure, section 3.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


class SeedsRange(NamedTuple):
    """Seeds that would decide; `high` is None where more than MOST_SEEDS might be needed, `low` likewise."""

    low: int | None
    high: int | None


def seeds_that_decide(interval: Interval, margin: float, num_tests: int) -> SeedsRange | None:
    """How many seeds would decide if the mean stayed as observed; None with too few to say.

    A number of seeds decides when the interval at that mean lies above margin, below -margin or, its 90%
    version, within both. low: with the sd at the lower end of its 80% interval and no correction for other
    tests; high: with the sd at the upper end, and the strictest step of Holm's correction for num_tests.
    """
    n = interval.n
    if n < 2 or interval.constant:
        return None
    spread = (n - 1) * interval.sd**2
    sd_low, sd_high = math.sqrt(spread / chdtri(n - 1, 0.1)), math.sqrt(spread / chdtri(n - 1, 0.9))
    return SeedsRange(
        _seeds(abs(interval.mean), sd_low, margin, 0.025, n + 1),
        _seeds(abs(interval.mean), sd_high, margin, 0.025 / num_tests, n + 1),
    )


def _seeds(mean: float, sd: float, margin: float, alpha: float, start: int) -> int | None:
    for n in range(start, MOST_SEEDS + 1):
        error = sd / math.sqrt(n)
        if mean - stdtrit(n - 1, 1 - alpha) * error > margin or mean + stdtrit(n - 1, 0.95) * error < margin:
            return n
    return None


def finite_values(values: Sequence[float]) -> np.ndarray:
    """Without nan and infinities."""
    array = np.asarray(values, dtype=float)
    return array[np.isfinite(array)]


def constant_values(values: np.ndarray) -> bool:
    """Equal but for rounding."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())
