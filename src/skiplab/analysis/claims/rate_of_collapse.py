"""A test of how well networks do, where some seeds of an arm have collapsed: it may test how often they collapse.

The mean skill of such an arm mixes seeds that learned with seeds that didn't. Where the two kinds don't say the same,
it says little about either, and its t interval is too narrow. How often an arm collapses has an exact interval, and
whether both arms of a seed collapse is a pair of events (McNemar 1947, Note on the sampling error of the difference
between correlated proportions).
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from skiplab.analysis.claims.claims import Test
from skiplab.analysis.claims.collapse import Collapse
from skiplab.analysis.claims.contrasts import Direction, PairedContrast
from skiplab.analysis.statistics.intervals import finite_values
from skiplab.analysis.study.collapsed import COLLAPSED

# The smallest change of the rate of collapse that counts: a seed in ten, from one arm to another or over all levels.
SMALLEST_RATE = 0.1
_OPPOSITE: dict[Direction, Direction] = {
    "higher": "lower",
    "lower": "higher",
    "not_lower": "not_higher",
    "not_higher": "not_lower",
}


def tests_rate_of_collapse(test: Test, paired: PairedContrast, collapse: Collapse) -> bool:
    """Whether a test has to ask for the rate of collapse.

    That is so where an arm has collapsed in some seeds and not in others, the metric counts a network of no use with a
    value, as skill does with 0, and seeds contradict one another: the advantage counts in some, and not in others. A
    claim of a certain value is left as it is.
    """
    metric = paired.metric
    counts_collapse = metric.role == "outcome" and metric.kind == "continuous" and metric.direction == "higher"
    return (
        collapse.is_partial
        and counts_collapse
        and isinstance(metric.if_diverged, int | float)
        and test.contrast.direction in _OPPOSITE
        and not (paired.is_paired and _all_seeds_agree(test, paired))
    )


def _all_seeds_agree(test: Test, paired: PairedContrast) -> bool:
    """Whether each seed's own advantage lies on the same side of the smallest effects."""
    only_lower = test.contrast.direction in ("not_lower", "not_higher")
    bounds = [-test.margin] if only_lower else [-test.margin, test.margin]
    return len(set(np.searchsorted(bounds, finite_values(paired.advantage)))) <= 1


def of_rate_of_collapse(test: Test, levels: Sequence[float]) -> Test:
    """The same test of the rate of collapse: where higher values are claimed, fewer collapses are.

    Args:
        test: of the metric.
        levels: those of what it is over, from the lowest to the highest, over all of which `SMALLEST_RATE` counts.
    """
    direction, smallest = _OPPOSITE[test.contrast.direction], SMALLEST_RATE
    if test.contrast.kind in ("slope", "interaction"):
        smallest /= math.log2(levels[-1] / levels[0])
    elif test.contrast.kind == "rate":
        smallest /= levels[-1] - levels[0]
    return replace(
        test,
        contrast=replace(test.contrast, metric=COLLAPSED, direction=direction),
        smallest_effect=None if test.smallest_effect is None else smallest,
    )
