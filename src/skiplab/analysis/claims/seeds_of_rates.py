"""How many seeds an inconclusive test of events or counts would need."""

from bisect import bisect_left
from dataclasses import replace

from skiplab.analysis.claims.contrasts import PairedContrast
from skiplab.analysis.claims.p_values import advantage_interval
from skiplab.analysis.statistics.resampling import FEWEST_FOR_PERMUTATION
from skiplab.analysis.statistics.sample_size import MOST_SEEDS, Decides, SeedsRange


def seeds_that_decide_rates(paired: PairedContrast, decides: Decides, num_tests: int) -> SeedsRange:
    """How many seeds would decide if each arm's rate stayed as observed.

    The lower estimate takes no correction for other tests, the upper one the strictest step of Holm's for num_tests.
    The permutation test of the pairs may ask for more.
    """
    return SeedsRange(_seeds(paired, decides, 0.025), _seeds(paired, decides, 0.025 / num_tests))


def _seeds(paired: PairedContrast, decides: Decides, alpha: float) -> int | None:
    start = max(paired.n + 1, FEWEST_FOR_PERMUTATION)

    def decide(num_seeds: int) -> bool:
        expected = _at_these_rates(paired, num_seeds)

        def ends(level: float) -> tuple[float, float]:
            interval = advantage_interval(expected, level)
            return interval.low, interval.high

        return decides(ends, alpha)

    found = start + bisect_left(range(start, MOST_SEEDS + 1), True, key=decide)
    return found if found <= MOST_SEEDS else None


def _at_these_rates(paired: PairedContrast, num_seeds: int) -> PairedContrast:
    """The contrast as so many seeds would show it: as many times the events in as many times the exposure."""
    assert paired.events is not None
    times = num_seeds / paired.n
    more = [each._replace(num=each.num * times, exposure=each.exposure * times) for each in paired.events]
    return replace(paired, events=tuple(more))
