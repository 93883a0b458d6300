"""How often something happens, with its exact interval."""

import math
from dataclasses import dataclass

from scipy.special import betaincinv


@dataclass(frozen=True)
class Rate:
    """`count` of `n`, with the interval of the fraction; low and high are nan where n is 0."""

    count: int
    n: int
    low: float
    high: float


def exact_rate(count: int, n: int, level: float = 0.95) -> Rate:
    """The Clopper-Pearson interval of a binomial fraction.

    At its lower end, `count` or more of n happen with probability (1 - level) / 2; at its upper end, `count` or fewer.

    Source: Clopper and Pearson 1934, The use of confidence or fiducial limits, section 3.
    """
    if n == 0:
        return Rate(0, 0, math.nan, math.nan)
    tail = (1 - level) / 2
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return Rate(count, n, low, high)


def rate_text(rate: Rate) -> str:
    """A rate as text, '2 of 5 (40%, 5% to 85%)'; '–' where n is 0."""
    if rate.n == 0:
        return "–"
    return f"{rate.count} of {rate.n} ({rate.count / rate.n:.0%}, {rate.low:.0%} to {rate.high:.0%})"
