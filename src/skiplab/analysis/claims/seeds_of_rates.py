"""How many seeds an inconclusive test of events or counts would need."""

from bisect import bisect_left
from dataclasses import replace

from skiplab.analysis.claims.contrasts import PairedContrast
from skiplab.analysis.claims.p_values import advantage_interval
from skiplab.analysis.statistics.resampling import FEWEST_FOR_PERMUTATION
from skiplab.analysis.statistics.sample_size import MOST_SEEDS, SeedsRange


def seeds_that_decide_rates(paired: PairedContrast, margin: float, num_tests: int) -> SeedsRange:
    """How many seeds would decide if each arm's rate stayed as observed.

    A number of seeds decides if the 95% interval made from the rates lies above margin or below -margin, or if the 90%
    interval lies between them. The lower estimate takes no correction for other tests, the upper one the strictest step
    of Holm's for num_tests. The permutation test of the pairs may ask for more.
    """
    return SeedsRange(_seeds(paired, margin, 0.025), _seeds(paired, margin, 0.025 / num_tests))


def _seeds(paired: PairedContrast, margin: float, alpha: float) -> int | None:
    start = max(paired.n + 1, FEWEST_FOR_PERMUTATION)

    def decides(num_seeds: int) -> bool:
        expected = _at_these_rates(paired, num_seeds)
        wide, narrow = advantage_interval(expected, 1 - 2 * alpha), advantage_interval(expected, 0.9)
        return wide.low > margin or wide.high < -margin or -margin < narrow.low <= narrow.high < margin

    found = start + bisect_left(range(start, MOST_SEEDS + 1), True, key=decides)
    return found if found <= MOST_SEEDS else None


def _at_these_rates(paired: PairedContrast, num_seeds: int) -> PairedContrast:
    """The contrast as so many seeds would show it: as many times the events in as many times the exposure."""
    assert paired.events is not None
    times = num_seeds / paired.n
    more = [each._replace(num=each.num * times, exposure=each.exposure * times) for each in paired.events]
    return replace(paired, events=tuple(more))
