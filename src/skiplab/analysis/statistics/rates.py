"""How often something happens, with its exact interval, and the interval of a weighted sum of such rates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import betaincinv, gammaincinv


@dataclass(frozen=True)
class Rate:
    """`count` of `n`, with the interval of the fraction; low and high are nan where n is 0."""

    count: float
    n: float
    low: float
    high: float


def exact_rate(count: float, n: float, level: float = 0.95) -> Rate:
    """The Clopper-Pearson interval of a binomial fraction.

    At its lower end, `count` or more of n happen with probability (1 - level) / 2; at its upper end, `count` or fewer.
    Expected numbers, which needn't be whole, give the interval that is expected.

    Source: Clopper and Pearson 1934, The use of confidence or fiducial limits, section 3.
    """
    if n == 0:
        return Rate(0, 0, math.nan, math.nan)
    tail = (1 - level) / 2
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return Rate(count, n, low, high)


@dataclass(frozen=True)
class RateEstimate:
    """A rate with an interval. value: events per unit, be that a trial or an exposure."""

    value: float
    low: float
    high: float


def event_rate(count: float, n: float, level: float = 0.95) -> RateEstimate:
    """The fraction of n trials in which something happened, with Clopper and Pearson's interval."""
    rate = exact_rate(count, n, level)
    return RateEstimate(count / n, rate.low, rate.high)


def count_rate(count: float, exposure: float, level: float = 0.95) -> RateEstimate:
    """Events per unit of exposure, with the exact interval of a Poisson rate.

        low = F^-1(tail; count) / exposure,   high = F^-1(1 - tail; count + 1) / exposure,   tail = (1 - level) / 2

    F^-1(p; k) is the quantile of a gamma distribution of shape k. No event in an exposure of E still has the upper
    end -ln(tail) / E.

    Source: Garwood 1936, Fiducial limits for the Poisson distribution, section 3 (from memory).
    """
    tail = (1 - level) / 2
    low = float(gammaincinv(count, tail)) / exposure if count else 0.0
    return RateEstimate(count / exposure, low, float(gammaincinv(count + 1, 1 - tail)) / exposure)


def weighted_sum(rates: Sequence[tuple[float, RateEstimate]]) -> RateEstimate:
    """A sum of weight x rate over independent rates, with an interval made from theirs (MOVER).

        value = Σ w r,   low = value - √Σ d^2,   high = value + √Σ e^2

    d is how far w r may lie below, and e how far above: w (r - r_low) and w (r_high - r) for a weight above 0, the
    other way round for one below 0. Weights 1 and -1 give the difference of two rates.

    Source: Donner and Zou 2012, Closed-form confidence intervals for functions of the normal mean and standard
        deviation, section 2 (from memory); for a difference of fractions Newcombe 1998, method 10.
    Differs from the source: the intervals of the rates are exact ones, which are wider than needed; arms that share
        their seeds count as independent, which is wider still where they agree.
    """
    value = math.fsum(weight * rate.value for weight, rate in rates)
    ends = [sorted((weight * rate.low, weight * rate.high)) for weight, rate in rates]
    own = [weight * rate.value for weight, rate in rates]
    below = math.hypot(*(each - low for each, (low, _) in zip(own, ends, strict=True)))
    above = math.hypot(*(high - each for each, (_, high) in zip(own, ends, strict=True)))
    return RateEstimate(value, value - below, value + above)


def rate_text(rate: Rate) -> str:
    """A rate as text, '2 of 5 (40%, 5% to 85%)'; '–' where n is 0."""
    if rate.n == 0:
        return "–"
    return f"{rate.count} of {rate.n} ({rate.count / rate.n:.0%}, {rate.low:.0%} to {rate.high:.0%})"
