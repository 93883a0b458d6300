"""The interval of an advantage, and the p values that it is below or above a bound, by the kind of its metric."""

import math
from typing import cast

from skiplab.analysis.claims.contrasts import Events, PairedContrast
from skiplab.analysis.statistics.intervals import (
    Interval,
    constant_values,
    finite_values,
    paired_interval,
    unpaired_interval,
)
from skiplab.analysis.statistics.rates import RateEstimate, count_rate, event_rate, weighted_sum
from skiplab.analysis.statistics.resampling import FEWEST_FOR_PERMUTATION, permutation_p
from skiplab.analysis.statistics.significance import p_above, p_above_unpaired

_SMALLEST_P = 1e-12


def advantage_interval(paired: PairedContrast, level: float = 0.95) -> Interval:
    """The interval of the advantage.

    Of events and counts: made from the exact intervals of the arms' rates (`weighted_sum`). Of other metrics: the
    paired t interval, or Welch's where the arms share no seed; clipped to [-1, 1] for a bounded metric's difference.
    Where all seeds are equal, they say nothing about their spread, and there is no interval.
    """
    if paired.is_paired:
        interval = paired_interval(paired.advantage, level)
    else:
        interval = unpaired_interval(*paired.claimed_greater, level)
    if paired.events is not None and interval.n > 0:
        rates = _advantage_of_rates(paired, level)
        return interval._replace(mean=rates.value, low=rates.low, high=rates.high, constant=False)
    if interval.constant:
        return interval._replace(low=math.nan, high=math.nan)
    if paired.metric.scale == "bounded" and paired.contrast.kind == "difference" and interval.n > 1:
        return interval._replace(low=max(-1.0, interval.low), high=min(1.0, interval.high))
    return interval


def p_of_more(paired: PairedContrast, bound: float) -> float:
    """One-sided p value of the null hypothesis that the advantage is at most the bound.

    Of events and counts, the greater of two: the permutation test of the pairs, which needs 6 seeds (1 below), and the
    tail at which the interval made from the rates reaches the bound. So neither few seeds nor few events decide.
    Of arms that share no seed: Welch's test; of their events, that tail alone, from 6 seeds of each arm on.
    """
    if paired.events is not None:
        return max(_permutation_p(paired, bound, above=True), _tail_of_rates(paired, bound, above=True))
    if not paired.is_paired:
        return p_above_unpaired(*paired.claimed_greater, bound)
    return p_above(paired.advantage, bound)


def p_of_less(paired: PairedContrast, bound: float) -> float:
    """One-sided p value of the null hypothesis that the advantage is at least the bound."""
    if paired.events is not None:
        return max(_permutation_p(paired, bound, above=False), _tail_of_rates(paired, bound, above=False))
    if not paired.is_paired:
        greater, other = paired.claimed_greater
        return p_above_unpaired(other, greater, -bound)
    return p_above(-paired.advantage, -bound)


def needs_more_seeds(paired: PairedContrast) -> bool:
    """Whether only an exact test can decide, which needs 6 seeds, and there are fewer."""
    if not paired.is_paired:
        return paired.events is not None and paired.n < FEWEST_FOR_PERMUTATION
    values = finite_values(paired.advantage)
    exact = paired.events is not None or (len(values) > 1 and constant_values(values))
    return exact and math.isnan(permutation_p(values, 0.0))


def _permutation_p(paired: PairedContrast, bound: float, *, above: bool) -> float:
    """Of the pairs of events or counts; 1 below 6 seeds. Arms that share no seed have no pairs, and 0 from there on."""
    if not paired.is_paired:
        return float(paired.n < FEWEST_FOR_PERMUTATION)
    sign = 1 if above else -1
    p = permutation_p(sign * paired.advantage, sign * bound)
    return 1.0 if math.isnan(p) else p


def _advantage_of_rates(paired: PairedContrast, level: float) -> RateEstimate:
    assert paired.events is not None
    found = weighted_sum([(each.weight, _rate(each, paired, level)) for each in paired.events])
    expected = paired.contrast.expected if paired.contrast.of_one_arm else 0.0
    return RateEstimate(found.value - expected, found.low - expected, found.high - expected)


def _rate(events: Events, paired: PairedContrast, level: float) -> RateEstimate:
    if paired.metric.kind == "event":
        return event_rate(events.num, events.exposure, level)
    return count_rate(events.num, events.exposure, level)


def _tail_of_rates(paired: PairedContrast, bound: float, *, above: bool) -> float:
    """The one-sided tail whose interval of the advantage ends at the bound; 1 where the estimate isn't beyond it."""

    def beyond(log_tail: float) -> float:
        rates = _advantage_of_rates(paired, 1 - 2 * math.exp(log_tail))
        return rates.low - bound if above else bound - rates.high

    from scipy.optimize import brentq  # takes as long to import as a small table to make, and only rates need it

    smallest, largest = math.log(_SMALLEST_P), math.log(0.499)
    if beyond(largest) <= 0:
        return 1.0
    if beyond(smallest) > 0:
        return _SMALLEST_P
    return math.exp(cast("float", brentq(beyond, smallest, largest, xtol=1e-9)))
