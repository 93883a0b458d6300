"""What a study says to one test in one cell."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from skiplab.analysis.claims.claims import FEWEST_SEEDS, Test
from skiplab.analysis.claims.compare import Contrast, Paired
from skiplab.analysis.claims.failures import failed_arms, split_arms
from skiplab.analysis.statistics.effect_size import hedges_g, probability_of_improvement
from skiplab.analysis.statistics.resampling import bootstrap_interval, permutation_p
from skiplab.analysis.statistics.statistics import (
    Interval,
    SeedsRange,
    correlation,
    p_above,
    p_below,
    paired_interval,
    seeds_that_decide,
    welch_interval,
    within_margin,
)
from skiplab.analysis.study.arms import Cell
from skiplab.analysis.study.notes import notes
from skiplab.analysis.study.study import Study

Word = Literal["supported", "contradicted", "no meaningful difference", "inconclusive", "too few seeds", "not run"]
ALPHA = 0.025  # one-sided, for each side
_TASK_METRICS = ("loss", "skill")  # how metrics that measure the task itself begin


class Look(NamedTuple):
    """One judging of a study. alpha: one-sided, for each side; fewest_seeds: below which nothing is said."""

    alpha: float = ALPHA
    fewest_seeds: int = FEWEST_SEEDS


@dataclass(frozen=True, kw_only=True)
class CellVerdict:
    """One test in one cell.

    interval, welch: 95% intervals of the advantage, paired by seed and not. p_supported, p_contradicted: one-sided,
    Holm-adjusted over num_tests tests. failed: arms whose mean skill says that they have learnt next to nothing.
    """

    test: Test
    paired: Paired
    look: Look
    word: Word
    interval: Interval
    welch: Interval
    correlation: float
    p_supported: float
    p_contradicted: float
    num_tests: int
    failed: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def cell(self) -> Cell:
        return self.paired.cell

    @property
    def effect_size(self) -> float:
        """Hedges' g of the advantage."""
        return hedges_g(self.paired.advantage)

    @property
    def probability_of_improvement(self) -> float:
        """That a seed of the arm that is claimed to be greater exceeds one of the other; nan for a single arm."""
        if self.test.contrast.of_one_arm:
            return float("nan")
        arms = (self.paired.treatment, self.paired.control)
        return probability_of_improvement(*(arms if self.test.contrast.direction == "higher" else arms[::-1]))

    @cached_property
    def seeds(self) -> SeedsRange | None:
        """How many seeds would decide an inconclusive cell; None for another one."""
        undecided = self.word == "inconclusive"
        return seeds_that_decide(self.interval, self.test.margin, self.num_tests) if undecided else None

    @cached_property
    def bootstrap(self) -> Interval | None:
        """95% bootstrap interval of the advantage, from 10 seeds; drawn from a generator of its own."""
        return bootstrap_interval(self.paired.advantage, np.random.default_rng(0))

    @cached_property
    def permutation_p(self) -> float | None:
        """One-sided p of an advantage of at most the smallest effect, by signs, from 6 seeds; not Holm-adjusted."""
        return permutation_p(self.paired.advantage, self.test.margin, np.random.default_rng(0))


def judge_cell(
    study: Study, test: Test, paired: Paired, p_values: tuple[float, float], *, look: Look, num_tests: int,
    failed_below: float | None,
) -> CellVerdict:  # fmt: skip
    """Judge a contrast whose adjusted p values, for either side, are known."""
    interval = advantage_interval(paired)
    if test.contrast.of_one_arm:
        welch, between_arms = Interval(*[float("nan")] * 4, 0, False), float("nan")
    else:
        welch = welch_interval(paired.treatment, paired.control)
        if test.contrast.direction == "lower":
            welch = welch._replace(mean=-welch.mean, low=-welch.high, high=-welch.low)
        between_arms = correlation(paired.treatment, paired.control)
    word = _word(paired, test, interval, p_values, look)
    asked = (study, test.contrast.factor, arms_of(test.contrast), paired.cell, failed_below)
    return CellVerdict(
        test=test,
        paired=paired,
        look=look,
        word=word,
        interval=interval,
        welch=welch,
        correlation=between_arms,
        p_supported=p_values[0],
        p_contradicted=p_values[1],
        num_tests=num_tests,
        failed=failed_arms(*asked),
        notes=notes(paired, interval) + split_arms(*asked) + _gain_notes(paired),
    )


def p_supported(paired: Paired, test: Test) -> float:
    """One-sided p of an advantage of at most the smallest effect; 1 where no verdict may rest on what there is.

    Of 'equal', the greater of the two that the value lies outside expected ± smallest effect.
    """
    if _undecidable(paired) or paired.may_be_smaller:
        return 1.0
    if test.contrast.direction == "equal":
        return max(p_above(paired.advantage, -test.margin), p_below(paired.advantage, test.margin))
    return p_above(paired.advantage, test.margin)


def p_contradicted(paired: Paired, test: Test) -> float:
    """One-sided p of a disadvantage of at most the smallest effect.

    Of 'equal', twice the smaller of those that the value isn't above, or isn't below, expected ± smallest effect.
    """
    if _undecidable(paired) or paired.may_be_greater:
        return 1.0
    below = p_below(paired.advantage, -test.margin)
    if test.contrast.direction == "equal":
        return min(1.0, 2 * below, 2 * p_above(paired.advantage, test.margin))
    return below


def _undecidable(paired: Paired) -> bool:
    """Whether p is 1, so that a study half run is no easier than a whole one."""
    return bool(paired.missing) or paired.on_survivors or paired.advantage.count() < 2


def _word(paired: Paired, test: Test, interval: Interval, p_values: tuple[float, float], look: Look) -> Word:
    if paired.missing:
        return "not run"
    if paired.on_survivors:
        return "inconclusive"
    if interval.n < look.fewest_seeds:
        return "too few seeds"
    if test.contrast.direction == "equal":
        holds = -test.margin < interval.low and interval.high < test.margin
        fails = interval.low > test.margin or interval.high < -test.margin
    else:
        holds, fails = interval.low > test.margin, interval.high < -test.margin
    if holds and p_values[0] <= look.alpha and not paired.may_be_smaller:
        return "supported"
    if fails and p_values[1] <= look.alpha and not paired.may_be_greater:
        return "contradicted"
    if test.contrast.direction == "equal":
        return "inconclusive"
    bounded = paired.may_be_smaller or paired.may_be_greater
    if within_margin(paired.advantage, test.margin, 2 * look.alpha) and not bounded:
        return "no meaningful difference"
    return "inconclusive"


def advantage_interval(paired: Paired) -> Interval:
    """95% paired-t interval; of a bounded metric's difference, clipped to [-1, 1]."""
    interval = paired_interval(paired.advantage)
    if paired.metric.scale == "bounded" and paired.contrast.kind == "difference" and interval.n > 1:
        return interval._replace(low=max(-1.0, interval.low), high=min(1.0, interval.high))
    return interval


def arms_of(contrast: Contrast) -> tuple[str, str]:
    """The two arms that a contrast speaks of."""
    return contrast.control, contrast.treatment


def _gain_notes(paired: Paired) -> tuple[str, ...]:
    """For a task's interaction, that `over` had no value where neither arm gains from it."""
    contrast = paired.contrast
    if contrast.kind != "interaction" or not contrast.metric.startswith(_TASK_METRICS):
        return ()
    if paired.missing or paired.on_survivors or paired.advantage.count() < FEWEST_SEEDS:
        return ()
    if gains(paired, "control") or gains(paired, "treatment"):
        return ()
    return (f"{contrast.over} had no value on this data: no arm gains from it",)


def gains(paired: Paired, arm: Literal["control", "treatment"]) -> bool:
    """Whether the 95% interval of an arm's own slope lies on the metric's better side."""
    slope = getattr(paired, arm)
    interval = paired_interval(slope if paired.metric.direction == "higher" else -slope)
    return bool(np.isfinite(interval.low) and interval.low > 0)
