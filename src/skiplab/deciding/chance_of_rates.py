"""The same chance for a difference of events or of counts."""

import math
from itertools import product
from typing import NamedTuple

from scipy.stats import betabinom, nbinom

from skiplab.analysis.claims.cell_verdicts import CellVerdict, bound_to_exceed
from skiplab.analysis.claims.contrasts import Events
from skiplab.analysis.statistics.rates import RateEstimate, count_rate, event_rate, rate_difference

_LEFT_OUT = 1e-4  # the chance of the largest numbers of further counts, which are left out


class _Arm(NamedTuple):
    """What an arm may have had in the end: the exposure, and the chance of each number of events."""

    exposure: float
    chances: dict[int, float]


def chance_of_rates(cell: CellVerdict, num_seeds: int, alpha: float, equivalence_alpha: float) -> float:
    """The chance that the interval of the difference of both arms' rates decides at a look.

    An arm with k events in n trials is predicted to have k + BetaBinomial(N - n, k + 1/2, n - k + 1/2) of them in N,
    and one with k counts in an exposure E to have as many more as a negative binomial variable of shape k + 1/2 in the
    further exposure: the predictions from Jeffreys' prior. A verdict asks the permutation test of the pairs too, so
    this is an upper bound.

    Args:
        cell: the verdict so far, of a test of events or counts.
        num_seeds: N, more than the verdict rests on.
        alpha: one-sided, of 'supported' and 'contradicted'.
        equivalence_alpha: one-sided, of 'no meaningful difference'.
    """
    assert cell.paired.events is not None
    control, treatment = (_predicted(cell, each, num_seeds) for each in cell.paired.events)
    if cell.test.contrast.claimed_sign < 0:
        control, treatment = treatment, control
    decided: set[tuple[int, int]] = set()
    margin, bound = cell.test.margin, bound_to_exceed(cell.test)
    has_equivalence = cell.test.contrast.direction in ("higher", "lower")
    for tail in dict.fromkeys((alpha, equivalence_alpha)):
        ours, theirs = (_rates(cell, arm, 1 - 2 * tail) for arm in (treatment, control))
        for pair in product(ours, theirs):
            found = rate_difference(ours[pair[0]], theirs[pair[1]])
            beyond = tail == alpha and (found.low > bound or found.high < -margin)
            within = tail == equivalence_alpha and has_equivalence and -margin < found.low and found.high < margin
            if beyond or within:
                decided.add(pair)
    return math.fsum(treatment.chances[num] * control.chances[other] for num, other in decided)


def _predicted(cell: CellVerdict, events: Events, num_seeds: int) -> _Arm:
    num, exposure = events
    total = exposure * num_seeds / cell.interval.n
    if cell.paired.metric.kind == "event":
        most = round(total - exposure)
        chances = betabinom.pmf(range(most + 1), most, num + 0.5, exposure - num + 0.5)
    else:
        most = int(nbinom.ppf(1 - _LEFT_OUT, num + 0.5, exposure / total))
        chances = nbinom.pmf(range(most + 1), num + 0.5, exposure / total)
    return _Arm(total, {num + more: float(chance) for more, chance in enumerate(chances)})


def _rates(cell: CellVerdict, arm: _Arm, level: float) -> dict[int, RateEstimate]:
    if cell.paired.metric.kind == "event":
        return {num: event_rate(num, round(arm.exposure), level) for num in arm.chances}
    return {num: count_rate(num, arm.exposure, level) for num in arm.chances}
