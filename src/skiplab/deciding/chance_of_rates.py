"""The same chance for events and counts."""

import math
from collections.abc import Sequence
from dataclasses import astuple
from typing import NamedTuple

import numpy as np
from scipy.stats import betabinom, nbinom

from skiplab.analysis.claims.cell_verdicts import CellVerdict, bound_to_exceed
from skiplab.analysis.claims.contrasts import Events
from skiplab.analysis.statistics.rates import RateEstimate, count_rate, event_rate

_LEFT_OUT = 1e-4  # the chance of the largest numbers of further counts, which are left out


_MOST_FOR_ALL = 100_000  # combinations of numbers of events up to which all are looked at, beyond that as many draws


class _Ends(NamedTuple):
    """What an arm may have had in the end, at one level: for each number of events its chance, and its weighted rate.

    below, above: how far the interval of the weighted rate reaches below and above it, squared; a row for each tail.
    """

    chances: np.ndarray
    values: np.ndarray
    below: np.ndarray
    above: np.ndarray


def chance_of_rates(cell: CellVerdict, num_seeds: int, alpha: float, equivalence_alpha: float) -> float:
    """The chance that the interval made from the arms' rates decides at a look.

    An arm with k events in n trials is predicted to have k + BetaBinomial(N - n, k + 1/2, n - k + 1/2) of them in N,
    and one with k counts in an exposure E to have as many more as a negative binomial variable of shape k + 1/2 in the
    further exposure: the predictions from Jeffreys' prior. A verdict asks the permutation test of the pairs too, so
    this is an upper bound. Where more than 100,000 combinations are possible, as many are drawn, always the same.

    Args:
        cell: the verdict so far, of a test of events or counts.
        num_seeds: N, more than the verdict rests on.
        alpha: one-sided, of 'supported' and 'contradicted'.
        equivalence_alpha: one-sided, of 'no meaningful difference'.
    """
    assert cell.paired.events is not None
    contrast, margin = cell.test.contrast, cell.test.margin
    tails = (alpha, alpha / 2 if contrast.direction == "equal" else equivalence_alpha)
    terms = [_ends(cell, each, num_seeds, tails) for each in cell.paired.events]
    indices, chances = _combinations([term.chances for term in terms])
    value = sum(term.values[own] for term, own in zip(terms, indices, strict=True))
    below, above = (
        np.sqrt(sum(getattr(term, side)[:, own] for term, own in zip(terms, indices, strict=True)))
        for side in ("below", "above")
    )
    value = value - (contrast.expected if contrast.of_one_arm else 0.0)
    low, high = value - below, value + above
    if contrast.direction == "equal":
        decided = (low[0] > -margin) & (high[0] < margin) | (low[1] > margin) | (high[1] < -margin)
    else:
        decided = (low[0] > bound_to_exceed(cell.test)) | (high[0] < -margin)
    if contrast.direction in ("higher", "lower"):
        decided |= (low[1] > -margin) & (high[1] < margin)
    return float(chances[decided].sum())


def _ends(cell: CellVerdict, events: Events, num_seeds: int, tails: tuple[float, float]) -> _Ends:
    num, exposure, weight = events
    total = exposure * num_seeds / cell.interval.n
    is_event = cell.paired.metric.kind == "event"
    if is_event:
        most = round(total - exposure)
        chances = betabinom.pmf(range(most + 1), most, num + 0.5, exposure - num + 0.5)
    else:
        most = int(nbinom.ppf(1 - _LEFT_OUT, num + 0.5, exposure / total))
        chances = nbinom.pmf(range(most + 1), num + 0.5, exposure / total)

    def rate(count: float, level: float) -> RateEstimate:
        return event_rate(count, round(total), level) if is_event else count_rate(count, total, level)

    rates = [[astuple(rate(num + more, 1 - 2 * tail)) for more in range(most + 1)] for tail in tails]
    value, *ends = np.moveaxis(weight * np.array(rates), 2, 0)
    low, high = np.minimum(*ends), np.maximum(*ends)
    return _Ends(np.asarray(chances), value[0], (value - low) ** 2, (high - value) ** 2)


def _combinations(chances: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """For each term the index of its number of events in each combination, and the chances of the combinations."""
    sizes = [len(each) for each in chances]
    if math.prod(sizes) <= _MOST_FOR_ALL:
        indices = [each.ravel() for each in np.indices(sizes)]
        return indices, np.prod([own[each] for own, each in zip(chances, indices, strict=True)], axis=0)
    generator = np.random.default_rng(0)
    drawn = [generator.choice(len(own), _MOST_FOR_ALL, p=own / own.sum()) for own in chances]
    return drawn, np.full(_MOST_FOR_ALL, 1 / _MOST_FOR_ALL)
