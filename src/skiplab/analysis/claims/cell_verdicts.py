"""The verdict on one test in one cell."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from skiplab.analysis.claims.claims import FEWEST_SEEDS, Test
from skiplab.analysis.claims.collapse import find_collapse
from skiplab.analysis.claims.contrasts import PairedContrast
from skiplab.analysis.claims.notes import contrast_notes
from skiplab.analysis.statistics.effect_size import correlation, hedges_g, probability_of_improvement
from skiplab.analysis.statistics.intervals import Interval, no_interval, paired_interval, welch_interval
from skiplab.analysis.statistics.resampling import bootstrap_interval, permutation_p
from skiplab.analysis.statistics.sample_size import SeedsRange, seeds_that_decide
from skiplab.analysis.statistics.significance import p_above, p_below, within_margin
from skiplab.analysis.study.arms import Cell
from skiplab.analysis.study.study import Study

Conclusion = Literal[
    "supported", "contradicted", "no meaningful difference", "inconclusive", "too few seeds", "not run"
]
ALPHA = 0.025  # one-sided, for each side
_TASK_METRICS = ("loss", "skill")  # how the names of metrics of the task itself begin


class Look(NamedTuple):
    """One judging of a study. alpha: one-sided, for each side; fewest_seeds: below which no verdict is given."""

    alpha: float = ALPHA
    fewest_seeds: int = FEWEST_SEEDS


class AdjustedP(NamedTuple):
    """One-sided p values, Holm-adjusted over num_tests tests."""

    supported: float
    contradicted: float
    num_tests: int


# Evidence is judged by its interval alone.
NOT_ADJUSTED = AdjustedP(0.0, 0.0, 1)


@dataclass(frozen=True, kw_only=True)
class CellVerdict:
    """The verdict on one test in one cell.

    interval, welch: 95% intervals of the advantage, paired by seed and not.
    correlation: between the arms over seeds.
    collapsed: arms that have learned next to nothing, so that the advantage has no size to speak of.
    """

    test: Test
    paired: PairedContrast
    look: Look
    p: AdjustedP
    conclusion: Conclusion
    interval: Interval
    welch: Interval
    correlation: float
    collapsed: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def cell(self) -> Cell:
        return self.paired.cell

    @property
    def has_size(self) -> bool:
        """Whether the advantage has a size: a difference from a collapsed arm has none."""
        return not (self.collapsed and self.test.contrast.kind == "difference")

    @property
    def effect_size(self) -> float:
        """Hedges' g of the advantage."""
        return hedges_g(self.paired.advantage)

    @property
    def probability_of_improvement(self) -> float:
        """The probability that a seed of the arm claimed to be better exceeds one of the other; nan for one arm."""
        if self.test.contrast.of_one_arm:
            return float("nan")
        if self.test.contrast.direction == "higher":
            return probability_of_improvement(self.paired.treatment, self.paired.control)
        return probability_of_improvement(self.paired.control, self.paired.treatment)

    @cached_property
    def seeds(self) -> SeedsRange | None:
        """How many seeds would decide an inconclusive cell; None for any other cell."""
        if self.conclusion != "inconclusive":
            return None
        return seeds_that_decide(self.interval, self.test.margin, self.p.num_tests)

    @cached_property
    def bootstrap(self) -> Interval | None:
        """95% bootstrap interval of the advantage, from 10 seeds on; its resamples are the same at each call."""
        return bootstrap_interval(self.paired.advantage, np.random.default_rng(0))

    @cached_property
    def permutation_p(self) -> float | None:
        """One-sided permutation p of an advantage of at most the smallest effect, from 6 seeds on; not adjusted."""
        return permutation_p(self.paired.advantage, self.test.margin, np.random.default_rng(0))


def judge_cell(
    study: Study, test: Test, paired: PairedContrast, p: AdjustedP, *, look: Look, collapsed_below: float | None
) -> CellVerdict:
    """Judge a contrast whose adjusted p values are known.

    Args:
        study: the study.
        test: what is claimed.
        paired: its contrast in the cell.
        p: its p values, adjusted over all tests of the look.
        look: the level of the test, and the seeds it needs.
        collapsed_below: mean skill below which an arm has collapsed; None: none has.
    """
    contrast, interval = test.contrast, advantage_interval(paired)
    if contrast.of_one_arm:
        welch, between_arms = no_interval(), float("nan")
    else:
        welch = welch_interval(paired.treatment, paired.control)
        if contrast.direction == "lower":
            welch = welch._replace(mean=-welch.mean, low=-welch.high, high=-welch.low)
        between_arms = correlation(paired.treatment, paired.control)
    collapse = find_collapse(study, contrast.factor, contrast.arms, paired.cell, collapsed_below)
    return CellVerdict(
        test=test,
        paired=paired,
        look=look,
        p=p,
        conclusion=_conclusion(paired, test, interval, p, look),
        interval=interval,
        welch=welch,
        correlation=between_arms,
        collapsed=collapse.arms,
        notes=contrast_notes(paired, interval) + collapse.notes + _gain_notes(paired),
    )


def p_supported(paired: PairedContrast, test: Test) -> float:
    """One-sided p of an advantage of at most the smallest effect; 1 where no verdict may rest on the trials.

    For 'equal': the greater of the two p values of a value outside expected ± smallest effect.
    """
    if _is_undecidable(paired) or paired.may_be_smaller:
        return 1.0
    if test.contrast.direction == "equal":
        return max(p_above(paired.advantage, -test.margin), p_below(paired.advantage, test.margin))
    return p_above(paired.advantage, test.margin)


def p_contradicted(paired: PairedContrast, test: Test) -> float:
    """One-sided p of a disadvantage of at most the smallest effect; 1 where no verdict may rest on the trials.

    For 'equal': twice the smaller of the two p values of a value that isn't above, or isn't below, expected ± smallest
    effect.
    """
    if _is_undecidable(paired) or paired.may_be_greater:
        return 1.0
    below = p_below(paired.advantage, -test.margin)
    if test.contrast.direction == "equal":
        return min(1.0, 2 * below, 2 * p_above(paired.advantage, test.margin))
    return below


def _is_undecidable(paired: PairedContrast) -> bool:
    """Whether p is 1, so that a study in progress counts as many tests as a finished one."""
    return bool(paired.missing) or paired.survivors_only or paired.advantage.count() < 2


def _conclusion(paired: PairedContrast, test: Test, interval: Interval, p: AdjustedP, look: Look) -> Conclusion:
    if paired.missing:
        return "not run"
    if paired.survivors_only:
        return "inconclusive"
    if interval.n < look.fewest_seeds:
        return "too few seeds"
    if test.contrast.direction == "equal":
        holds = -test.margin < interval.low and interval.high < test.margin
        fails = interval.low > test.margin or interval.high < -test.margin
    else:
        holds, fails = interval.low > test.margin, interval.high < -test.margin
    if holds and p.supported <= look.alpha and not paired.may_be_smaller:
        return "supported"
    if fails and p.contradicted <= look.alpha and not paired.may_be_greater:
        return "contradicted"
    if test.contrast.direction == "equal":
        return "inconclusive"
    bounded = paired.may_be_smaller or paired.may_be_greater
    if within_margin(paired.advantage, test.margin, 2 * look.alpha) and not bounded:
        return "no meaningful difference"
    return "inconclusive"


def advantage_interval(paired: PairedContrast) -> Interval:
    """95% paired t interval of the advantage; for a bounded metric's difference, clipped to [-1, 1]."""
    interval = paired_interval(paired.advantage)
    if paired.metric.scale == "bounded" and paired.contrast.kind == "difference" and interval.n > 1:
        return interval._replace(low=max(-1.0, interval.low), high=min(1.0, interval.high))
    return interval


def _gain_notes(paired: PairedContrast) -> tuple[str, ...]:
    """For an interaction on the task's own metric: that `over` brought nothing, where neither arm gains from it."""
    contrast = paired.contrast
    if contrast.kind != "interaction" or not contrast.metric.startswith(_TASK_METRICS):
        return ()
    if paired.missing or paired.survivors_only or paired.advantage.count() < FEWEST_SEEDS:
        return ()
    if gains(paired, "control") or gains(paired, "treatment"):
        return ()
    return (f"{contrast.over} had no value on this data: no arm gains from it",)


def gains(paired: PairedContrast, arm: Literal["control", "treatment"]) -> bool:
    """Whether the whole 95% interval of an arm's own slope lies on the metric's better side."""
    slope = paired.control if arm == "control" else paired.treatment
    interval = paired_interval(slope if paired.metric.direction == "higher" else -slope)
    return bool(np.isfinite(interval.low) and interval.low > 0)
