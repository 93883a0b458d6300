"""How many seeds an inconclusive comparison would need."""

import math
from collections.abc import Callable
from typing import NamedTuple

from scipy.special import chdtri, stdtrit

from skiplab.analysis.statistics.intervals import Interval

MOST_SEEDS = 1000  # no study is advised to train more

IntervalAt = Callable[[float], tuple[float, float]]  # the ends of an interval of a level
Decides = Callable[[IntervalAt, float], bool]  # whether intervals decide, at a one-sided alpha


class SeedsRange(NamedTuple):
    """A lower and an upper estimate of the seeds needed; None stands for more than MOST_SEEDS."""

    low: int | None
    high: int | None


def seeds_that_decide(interval: Interval, decides: Decides, num_tests: int) -> SeedsRange | None:
    """How many seeds would decide if the mean stayed as observed; None with fewer than 2 seeds or without spread.

    The lower estimate takes the sd at the lower end of its 80% interval and no correction for other tests. The upper
    one takes the sd at the upper end and the strictest step of Holm's correction for num_tests.
    """
    n = interval.n
    if n < 2 or interval.constant:
        return None
    spread = (n - 1) * interval.sd**2
    sd_low, sd_high = math.sqrt(spread / chdtri(n - 1, 0.1)), math.sqrt(spread / chdtri(n - 1, 0.9))
    return SeedsRange(
        _seeds(interval.mean, sd_low, decides, 0.025, n + 1),
        _seeds(interval.mean, sd_high, decides, 0.025 / num_tests, n + 1),
    )


def _seeds(mean: float, sd: float, decides: Decides, alpha: float, start: int) -> int | None:
    for n in range(start, MOST_SEEDS + 1):
        if decides(_t_interval(mean, sd, n), alpha):
            return n
    return None


def _t_interval(mean: float, sd: float, n: int) -> IntervalAt:
    def ends(level: float) -> tuple[float, float]:
        half = float(stdtrit(n - 1, (1 + level) / 2)) * sd / math.sqrt(n)
        return mean - half, mean + half

    return ends
