"""How many seeds an inconclusive comparison would need."""

import math
from typing import NamedTuple

from scipy.special import chdtri, stdtrit

from skiplab.analysis.statistics.intervals import Interval

MOST_SEEDS = 1000  # no study is advised to train more


class SeedsRange(NamedTuple):
    """A lower and an upper estimate of the seeds needed; None stands for more than MOST_SEEDS."""

    low: int | None
    high: int | None


def seeds_that_decide(interval: Interval, margin: float, num_tests: int) -> SeedsRange | None:
    """How many seeds would decide if the mean stayed as observed; None with fewer than 2 seeds or without spread.

    A number of seeds decides if the 95% interval around that mean lies above margin or below -margin, or if the 90%
    interval lies between them. The lower estimate takes the sd at the lower end of its 80% interval and no correction
    for other tests. The upper one takes the sd at the upper end and the strictest step of Holm's correction for
    num_tests.
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
