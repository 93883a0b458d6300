"""The verdict on one test in one cell."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, NamedTuple

import numpy as np

from skiplab.analysis.claims.claims import FEWEST_SEEDS, Test
from skiplab.analysis.claims.collapse import Collapse, find_collapse
from skiplab.analysis.claims.contrasts import PairedContrast, compute_contrast
from skiplab.analysis.claims.notes import contrast_notes
from skiplab.analysis.claims.p_values import advantage_interval, needs_more_seeds, p_of_less, p_of_more
from skiplab.analysis.claims.rate_of_collapse import SMALLEST_RATE, of_rate_of_collapse, tests_rate_of_collapse
from skiplab.analysis.claims.seeds_of_rates import seeds_that_decide_rates
from skiplab.analysis.statistics.effect_size import correlation, hedges_g, probability_of_improvement
from skiplab.analysis.statistics.intervals import Interval, no_interval, paired_interval, welch_interval
from skiplab.analysis.statistics.resampling import FEWEST_FOR_PERMUTATION, bootstrap_interval, permutation_p
from skiplab.analysis.statistics.sample_size import IntervalAt, SeedsRange, seeds_that_decide
from skiplab.analysis.study.arms import Cell
from skiplab.analysis.study.study import Study

Conclusion = Literal[
    "supported",
    "contradicted",
    "no meaningful difference",
    "inconclusive",
    "not applicable",
    "too few seeds",
    "not run",
]
ALPHA = 0.025  # one-sided, for each side
_TASK_METRICS = ("loss", "skill")  # how the names of metrics of the task itself begin


class Look(NamedTuple):
    """One judging of a study. alpha: one-sided, for each side; num_seeds: below which no verdict is given."""

    alpha: float = ALPHA
    num_seeds: int = FEWEST_SEEDS

    def can_judge(self, paired: PairedContrast) -> bool:
        """Whether a test has enough seeds."""
        return paired.n >= self.num_seeds


class AdjustedP(NamedTuple):
    """One-sided p values, Holm-adjusted over num_tests tests."""

    supported: float
    contradicted: float
    num_tests: int


class TestInCell(NamedTuple):
    """A test with its contrast in a cell, and the arms that have collapsed there.

    claimed: the test of the claims file.
    test: the same, or the test of the rate of collapse that stands for it (`rate_of_collapse`).
    """

    claimed: Test
    test: Test
    paired: PairedContrast
    collapse: Collapse

    @property
    def not_applicable(self) -> bool:
        """Whether it asks for the mechanism of an arm that has learned next to nothing."""
        return self.paired.metric.role == "mechanism" and bool(self.collapse.arms)


@dataclass(frozen=True, kw_only=True)
class CellVerdict:
    """The verdict on one test in one cell.

    claimed, test: the test of the claims file, and the one that was judged, as in `TestInCell`.
    interval, welch: 95% intervals of the advantage, paired by seed where the arms share any, and not paired.
    correlation: between the arms over seeds.
    collapse: the arms that have learned next to nothing, so that the advantage has no size to speak of; the conclusion
        is 'not applicable' if the metric says how a network works and not how well.
    """

    claimed: Test
    test: Test
    paired: PairedContrast
    look: Look
    p: AdjustedP
    conclusion: Conclusion
    interval: Interval
    welch: Interval
    correlation: float
    collapse: Collapse
    notes: tuple[str, ...]

    @property
    def cell(self) -> Cell:
        return self.paired.cell

    @property
    def collapsed(self) -> tuple[str, ...]:
        """The names of the arms that have collapsed."""
        return self.collapse.arms

    @property
    def has_size(self) -> bool:
        """Whether the advantage has a size.

        A difference from an arm that has collapsed has none, unless it is one of rates. If the arm has collapsed in one
        of the cells of a mean, or at one level of a slope, the size is that of the mean or slope.
        """
        if not self.collapsed:
            return True
        if self.conclusion == "not applicable":
            return False
        return self.paired.events is not None or all(each.levels for each in self.collapse.found)

    @property
    def effect_size(self) -> float:
        """Hedges' g of the advantage."""
        return hedges_g(self.paired.advantage)

    @property
    def probability_of_improvement(self) -> float:
        """The probability that a seed of the arm claimed to be better exceeds one of the other; nan for one arm."""
        if self.test.contrast.of_one_arm:
            return float("nan")
        return probability_of_improvement(*self.paired.claimed_greater)

    @cached_property
    def seeds(self) -> SeedsRange | None:
        """How many seeds would decide an inconclusive cell; None of other cells, and where it can't be estimated."""
        if self.conclusion != "inconclusive":
            return None
        if self.out_of_reach:
            return SeedsRange(None, None)
        decides = partial(decided_by, self.test)
        if self.paired.events is not None and self.paired.n > 0:
            return seeds_that_decide_rates(self.paired, decides, self.p.num_tests)
        return seeds_that_decide(self.interval, decides, self.p.num_tests)

    @property
    def out_of_reach(self) -> bool:
        """Whether no number of seeds decides it: values are lost, or bounds could overturn it at this mean."""
        paired, mean = self.paired, self.interval.mean
        no_contradiction = paired.may_be_smaller and mean >= -self.test.margin
        no_support = paired.may_be_greater and mean <= bound_to_exceed(self.test)
        return paired.survivors_only or (self.conclusion == "inconclusive" and (no_contradiction or no_support))

    @cached_property
    def bootstrap(self) -> Interval | None:
        """95% bootstrap interval of the advantage, from 10 seeds on; its resamples are the same at each call."""
        return bootstrap_interval(self.paired.advantage, np.random.default_rng(0))

    @cached_property
    def permutation_p(self) -> float:
        """One-sided permutation p of an advantage of at most the smallest effect, from 6 seeds on; not adjusted."""
        return permutation_p(self.paired.advantage, bound_to_exceed(self.test))


def test_in_cell(study: Study, test: Test, cell: Cell) -> TestInCell:
    """A test's contrast in a cell, and what has collapsed there."""
    contrast, judged = test.contrast, test
    paired = compute_contrast(study, contrast, cell)
    collapse = find_collapse(study, contrast.factor, contrast.arms, cell)
    if not paired.missing and tests_rate_of_collapse(test, paired, collapse):
        judged = of_rate_of_collapse(test, paired.levels)
        paired = compute_contrast(study, judged.contrast, cell)
    return TestInCell(test, judged, paired, collapse)


def judge_cell(found: TestInCell, p: AdjustedP, *, look: Look) -> CellVerdict:
    """Judge a test in a cell by its p values, which are adjusted over all tests of the look."""
    claimed, test, paired, collapse = found
    contrast, interval = test.contrast, advantage_interval(paired)
    if contrast.of_one_arm:
        welch, between_arms = no_interval(), float("nan")
    else:
        welch = welch_interval(*paired.claimed_greater)
        between_arms = correlation(paired.treatment, paired.control)
    return CellVerdict(
        claimed=claimed,
        test=test,
        paired=paired,
        look=look,
        p=p,
        conclusion=_conclusion(found, interval, p, look),
        interval=interval,
        welch=welch,
        correlation=between_arms,
        collapse=collapse,
        notes=_rate_notes(found)
        + contrast_notes(paired, interval)
        + _seeds_notes(paired)
        + collapse.notes
        + _gain_notes(paired),
    )


def bound_to_exceed(test: Test) -> float:
    """The advantage above which a claim holds: the smallest effect; of a claim that nothing changes, its negative."""
    return -test.margin if test.contrast.direction in ("not_lower", "not_higher") else test.margin


def p_supported(found: TestInCell) -> float:
    """One-sided p of the null hypothesis that the claim doesn't hold; 1 where no verdict may rest on the trials.

    For 'equal': the greater of the two p values of a value outside expected ± smallest effect.
    """
    test, paired = found.test, found.paired
    if _is_undecidable(found) or paired.may_be_smaller:
        return 1.0
    if test.contrast.direction == "equal":
        return max(p_of_more(paired, -test.margin), p_of_less(paired, test.margin))
    return p_of_more(paired, bound_to_exceed(test))


def p_contradicted(found: TestInCell) -> float:
    """One-sided p of the null hypothesis that the claim isn't wrong; 1 where no verdict may rest on the trials.

    For 'equal': twice the smaller of the two p values of a value that isn't above, or isn't below, expected ± smallest
    effect.
    """
    test, paired = found.test, found.paired
    if _is_undecidable(found) or paired.may_be_greater:
        return 1.0
    below = p_of_less(paired, -test.margin)
    if test.contrast.direction == "equal":
        return min(1.0, 2 * below, 2 * p_of_more(paired, test.margin))
    return below


def decided_by(test: Test, interval: IntervalAt, alpha: float) -> bool:
    """Whether the verdict on a test would be other than inconclusive, if these were the intervals of its advantage.

    'higher' and 'lower': the interval at 1 - 2 alpha lies above the smallest effect or below its negative, or the 90%
    interval lies between them. 'not_lower' and 'not_higher': the first lies above or below that negative. 'equal': it
    lies between the two, or the interval at 1 - alpha lies above or below both.

    Args:
        test: the test.
        interval: gives the ends of the interval of a level.
        alpha: one-sided.
    """
    margin, direction = test.margin, test.contrast.direction
    low, high = interval(1 - 2 * alpha)
    if direction == "equal":
        outer_low, outer_high = interval(1 - alpha)
        return -margin < low <= high < margin or outer_low > margin or outer_high < -margin
    if low > bound_to_exceed(test) or high < -margin:
        return True
    if direction not in ("higher", "lower"):
        return False
    inner_low, inner_high = interval(0.9)
    return -margin < inner_low <= inner_high < margin


def _is_undecidable(found: TestInCell) -> bool:
    """Whether p is 1, so that a study in progress counts as many tests as a finished one."""
    paired = found.paired
    return bool(paired.missing) or paired.survivors_only or found.not_applicable or paired.n < 2


def _conclusion(found: TestInCell, interval: Interval, p: AdjustedP, look: Look) -> Conclusion:
    test, paired = found.test, found.paired
    if paired.missing:
        return "not run"
    if found.not_applicable:
        return "not applicable"
    if paired.survivors_only:
        return "inconclusive"
    if not look.can_judge(paired):
        return "too few seeds"
    if p.supported <= look.alpha:
        return "supported"
    if p.contradicted <= look.alpha:
        return "contradicted"
    bounded = paired.may_be_smaller or paired.may_be_greater
    if test.contrast.direction not in ("higher", "lower") or bounded:
        return "inconclusive"
    # Two one-sided tests: Schuirmann 1987, A comparison of the two one-sided tests procedure, section 2.
    p_equivalent = max(p_of_more(paired, -test.margin), p_of_less(paired, test.margin))
    return "no meaningful difference" if p_equivalent < 2 * look.alpha else "inconclusive"


def _rate_notes(found: TestInCell) -> tuple[str, ...]:
    if found.test is found.claimed:
        return ()
    contrast = found.test.contrast
    over = "" if contrast.kind == "difference" else f" over all levels of {contrast.over}"
    judged = f"the rate of collapse is judged here, of which {SMALLEST_RATE:g}{over} counts"
    return (f"some seeds collapsed and others didn't: {judged}, and not the mean of {found.claimed.contrast.metric}",)


def _seeds_notes(paired: PairedContrast) -> tuple[str, ...]:
    if not needs_more_seeds(paired):
        return ()
    return (f"an exact test decides here, from {FEWEST_FOR_PERMUTATION} seeds on",)


def _gain_notes(paired: PairedContrast) -> tuple[str, ...]:
    """For an interaction on the task's own metric: that `over` brought nothing, where neither arm gains from it."""
    contrast = paired.contrast
    if contrast.kind != "interaction" or not contrast.metric.startswith(_TASK_METRICS):
        return ()
    if paired.missing or paired.survivors_only or paired.n < FEWEST_SEEDS:
        return ()
    if gains(paired, "control") or gains(paired, "treatment"):
        return ()
    return (f"{contrast.over} had no value on this data: no arm gains from it",)


def gains(paired: PairedContrast, arm: Literal["control", "treatment"]) -> bool:
    """Whether the whole 95% interval of an arm's own slope lies on the metric's better side."""
    slope = paired.control if arm == "control" else paired.treatment
    interval = paired_interval(slope if paired.metric.direction == "higher" else -slope)
    return bool(np.isfinite(interval.low) and interval.low > 0)
