"""How likely it is that a test which is undecided now will be decided with more seeds."""

import math

from scipy.special import stdtr, stdtrit

from skiplab.analysis.claims.cell_verdicts import CellVerdict, bound_to_exceed
from skiplab.analysis.statistics.resampling import FEWEST_FOR_PERMUTATION
from skiplab.deciding.chance_of_rates import chance_of_rates


def chance_of_decision(cell: CellVerdict, num_seeds: int, alpha: float, equivalence_alpha: float) -> float:
    """The chance that a test is decided at a look, given what its seeds show so far.

    Of n seeds with mean m and standard deviation s, the mean of N seeds is predicted as

        M = m + s √(1/n - 1/N) T_{n-1}

    and the chance is that M falls where a test of N seeds with the same s decides. See `chance_of_rates` for events and
    counts. Where all seeds are equal, only the exact test's number of seeds counts.

    Args:
        cell: the verdict so far.
        num_seeds: N, more than the verdict rests on.
        alpha: one-sided, of 'supported' and 'contradicted'.
        equivalence_alpha: one-sided, of 'no meaningful difference'.

    Source: Spiegelhalter, Freedman and Blackburn 1986, Monitoring clinical trials: conditional or predictive power?
        (from memory).
    Differs from the source: t_{n-1} replaces the normal distribution, since the standard deviation isn't known; and
        'no meaningful difference' counts as a decision too.
    """
    interval = cell.interval
    if cell.paired.events is not None or interval.constant:
        if num_seeds < FEWEST_FOR_PERMUTATION or 0.5**num_seeds > max(alpha, equivalence_alpha):
            return 0.0
        return 1.0 if cell.paired.events is None else chance_of_rates(cell, num_seeds, alpha, equivalence_alpha)
    if interval.n < 2:
        return 1.0
    scale = interval.sd * math.sqrt(1 / interval.n - 1 / num_seeds)

    def below(mean: float) -> float:
        return float(stdtr(interval.n - 1, (mean - interval.mean) / scale))

    return sum(below(high) - below(low) for low, high in _deciding_means(cell, num_seeds, alpha, equivalence_alpha))


def _deciding_means(
    cell: CellVerdict, num_seeds: int, alpha: float, equivalence_alpha: float
) -> list[tuple[float, float]]:
    """The intervals in which the mean of N seeds decides; they don't overlap."""
    error, margin, direction = cell.interval.sd / math.sqrt(num_seeds), cell.test.margin, cell.test.contrast.direction
    may_support, may_contradict = not cell.paired.may_be_smaller, not cell.paired.may_be_greater

    def half(tail: float) -> float:
        return float(stdtrit(num_seeds - 1, 1 - tail)) * error

    found: list[tuple[float, float]] = []
    if direction == "equal":
        if may_support:
            found.append((half(alpha) - margin, margin - half(alpha)))
        if may_contradict:
            found += [(-math.inf, -margin - half(alpha / 2)), (margin + half(alpha / 2), math.inf)]
    else:
        if may_support:
            found.append((bound_to_exceed(cell.test) + half(alpha), math.inf))
        if may_contradict:
            found.append((-math.inf, -margin - half(alpha)))
        if may_support and may_contradict and direction in ("higher", "lower"):
            found.append((half(equivalence_alpha) - margin, margin - half(equivalence_alpha)))
    return [(low, high) for low, high in found if low < high]
