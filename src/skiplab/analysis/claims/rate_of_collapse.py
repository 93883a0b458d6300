"""A test of how well networks do, where some seeds of an arm have collapsed: it may test how often they collapse.

The mean skill of such an arm mixes seeds that learned with seeds that didn't. Where the two kinds don't say the same,
it says little about either, and its t interval is too narrow. How often an arm collapses has an exact interval, and
whether both arms of a seed collapse is a pair of events (McNemar 1947, Note on the sampling error of the difference
between correlated proportions).
"""

from dataclasses import replace

import numpy as np

from skiplab.analysis.claims.claims import Test
from skiplab.analysis.claims.collapse import Collapse
from skiplab.analysis.claims.contrasts import Direction, PairedContrast
from skiplab.analysis.statistics.intervals import finite_values
from skiplab.analysis.study.collapsed import COLLAPSED

SMALLEST_RATE = 0.1  # the smallest change of the rate of collapse that counts: a seed in ten
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
        and not _all_seeds_agree(test, paired)
    )


def _all_seeds_agree(test: Test, paired: PairedContrast) -> bool:
    """Whether each seed's own advantage lies on the same side of the smallest effects."""
    only_lower = test.contrast.direction in ("not_lower", "not_higher")
    bounds = [-test.margin] if only_lower else [-test.margin, test.margin]
    return len(set(np.searchsorted(bounds, finite_values(paired.advantage)))) <= 1


def of_rate_of_collapse(test: Test) -> Test:
    """The same test of the rate of collapse: where higher values are claimed, fewer collapses are."""
    direction = _OPPOSITE[test.contrast.direction]
    return replace(
        test,
        contrast=replace(test.contrast, metric=COLLAPSED, direction=direction),
        smallest_effect=None if test.smallest_effect is None else SMALLEST_RATE,
    )
