"""The interval of an advantage, and the p values that it is below or above a bound, by the kind of its metric."""

import math
from typing import cast

from skiplab.analysis.claims.contrasts import Events, PairedContrast
from skiplab.analysis.statistics.intervals import Interval, constant_values, finite_values, paired_interval
from skiplab.analysis.statistics.rates import RateEstimate, count_rate, event_rate, rate_difference
from skiplab.analysis.statistics.resampling import permutation_p
from skiplab.analysis.statistics.significance import p_above

_SMALLEST_P = 1e-12


def advantage_interval(paired: PairedContrast, level: float = 0.95) -> Interval:
    """The interval of the advantage.

    Of events and counts: made from the exact intervals of both arms' rates (`rate_difference`). Of other metrics: the
    paired t interval, clipped to [-1, 1] for a bounded metric's difference. Where all seeds are equal, they say nothing
    about their spread, and there is no interval.
    """
    interval = paired_interval(paired.advantage, level)
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
    tail at which the interval of the difference of rates reaches the bound. So neither few seeds nor few events decide.
    """
    if paired.events is None:
        return p_above(paired.advantage, bound)
    p = permutation_p(paired.advantage, bound)
    return 1.0 if math.isnan(p) else max(p, _tail_of_rates(paired, bound, above=True))


def p_of_less(paired: PairedContrast, bound: float) -> float:
    """One-sided p value of the null hypothesis that the advantage is at least the bound."""
    if paired.events is None:
        return p_above(-paired.advantage, -bound)
    p = permutation_p(-paired.advantage, -bound)
    return 1.0 if math.isnan(p) else max(p, _tail_of_rates(paired, bound, above=False))


def needs_more_seeds(paired: PairedContrast) -> bool:
    """Whether only an exact test can decide, which needs 6 seeds, and there are fewer."""
    values = finite_values(paired.advantage)
    exact = paired.events is not None or (len(values) > 1 and constant_values(values))
    return exact and math.isnan(permutation_p(values, 0.0))


def _advantage_of_rates(paired: PairedContrast, level: float) -> RateEstimate:
    assert paired.events is not None
    control, treatment = (_rate(events, paired, level) for events in paired.events)
    if paired.contrast.claimed_sign < 0:
        control, treatment = treatment, control
    return rate_difference(treatment, control)


def _rate(events: Events, paired: PairedContrast, level: float) -> RateEstimate:
    if paired.metric.kind == "event":
        return event_rate(events.num, int(events.exposure), level)
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
