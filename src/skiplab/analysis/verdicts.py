"""Verdicts: what a study says to each claim, cell by cell, by one rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from skiplab.analysis.arms import Cell, cells, in_cell, with_arms
from skiplab.analysis.claims import Claim, Claims, Test
from skiplab.analysis.compare import Contrast, Paired, compare, measured
from skiplab.analysis.notes import notes
from skiplab.analysis.runs import Study
from skiplab.analysis.statistics import (
    Interval,
    SeedsRange,
    correlation,
    holm,
    p_above,
    p_below,
    paired_interval,
    seeds_that_decide,
    welch_interval,
    within_margin,
)
from skiplab.analysis.tuning import SHARED, settings_mark

Word = Literal["supported", "contradicted", "no meaningful difference", "inconclusive", "too few seeds", "not run"]
ALPHA = 0.025  # one-sided, for each side
FEWEST_SEEDS = 3
_TASK_METRICS = ("loss", "skill")  # how metrics that measure the task itself begin


@dataclass(frozen=True, kw_only=True)
class CellVerdict:
    """One test in one cell. interval, welch: of the advantage; p: Holm-adjusted for the two sides."""

    test: Test
    paired: Paired
    word: Word
    interval: Interval
    welch: Interval
    correlation: float
    p_supported: float
    p_contradicted: float
    seeds: SeedsRange | None
    failed: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def cell(self) -> Cell:
        return self.paired.cell


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the study says to one claim. marks: what limits it; contested_by: evidence on the other side."""

    claim: Claim
    question: str
    word: str
    marks: tuple[str, ...]
    cells: tuple[CellVerdict, ...]
    evidence: tuple[CellVerdict, ...]
    contested_by: tuple[CellVerdict, ...]
    claims_sha256: str

    @property
    def num_supported(self) -> int:
        return sum(cell.word == "supported" for cell in self.cells)


def judge(study: Study, claims: Claims) -> list[Verdict]:
    """Test every claim in each of its cells.

    With d the advantage in the claimed direction and δ the smallest effect worth caring about, a cell is
    'supported' when the lower end of the 95% interval of d exceeds δ and its one-sided p, Holm-adjusted over
    all primary tests of the file, is at most .025; 'contradicted' likewise below -δ; 'no meaningful
    difference' when the 90% interval lies within ±δ; else 'inconclusive'. None rests on survivors alone, nor on
    values that were not reached where the true ones could overturn it.

    Raises:
        SkiplabError: where a claim names a factor that the study doesn't know.
    """
    pairs = [(claim, paired) for claim in claims.claims for paired in _in_cells(study, claim, claim.primary)]
    supported = holm([_p_supported(paired, claim.primary) for claim, paired in pairs])
    contradicted = holm([_p_contradicted(paired, claim.primary) for claim, paired in pairs])
    judged: dict[str, list[CellVerdict]] = {claim.name: [] for claim in claims.claims}
    for (claim, paired), p_yes, p_no in zip(pairs, supported, contradicted, strict=True):
        judged[claim.name].append(
            _cell_verdict(study, claims, claim.primary, paired, (p_yes, p_no), num_tests=len(pairs))
        )
    return [_verdict(study, claims, claim, judged[claim.name]) for claim in claims.claims]


def _in_cells(study: Study, claim: Claim, test: Test) -> list[Paired]:
    contrast = test.contrast
    wanted = {name: levels for name, levels in claim.cells.items() if name != contrast.over}
    found = cells(study, contrast.factor, over=contrast.over, wanted=wanted)
    return [compare(study, contrast, cell) for cell in found]


def _p_supported(paired: Paired, test: Test) -> float:
    return 1.0 if _undecidable(paired) or paired.may_be_smaller else p_above(paired.advantage, test.margin)


def _p_contradicted(paired: Paired, test: Test) -> float:
    return 1.0 if _undecidable(paired) or paired.may_be_greater else p_below(paired.advantage, -test.margin)


def _undecidable(paired: Paired) -> bool:
    """Whether p is 1, so that a study half run is no easier than a whole one."""
    return bool(paired.missing) or paired.on_survivors or paired.advantage.count() < 2


def _cell_verdict(
    study: Study, claims: Claims, test: Test, paired: Paired, p_values: tuple[float, float], num_tests: int
) -> CellVerdict:
    interval = advantage_interval(paired)
    if test.contrast.kind == "slope":
        welch, between_arms = Interval(*[float("nan")] * 4, 0, False), float("nan")
    else:
        welch = welch_interval(paired.treatment, paired.control)
        if test.contrast.direction == "lower":
            welch = welch._replace(mean=-welch.mean, low=-welch.high, high=-welch.low)
        between_arms = correlation(paired.treatment, paired.control)
    word = _word(paired, test, interval, p_values)
    return CellVerdict(
        test=test,
        paired=paired,
        word=word,
        interval=interval,
        welch=welch,
        correlation=between_arms,
        p_supported=p_values[0],
        p_contradicted=p_values[1],
        seeds=seeds_that_decide(interval, test.margin, num_tests) if word == "inconclusive" else None,
        failed=failed_arms(study, test.contrast.factor, _arms(test.contrast), paired.cell, claims.failed_below),
        notes=notes(paired, interval) + _gain_notes(paired),
    )


def _word(paired: Paired, test: Test, interval: Interval, p_values: tuple[float, float]) -> Word:
    if paired.missing:
        return "not run"
    if paired.on_survivors:
        return "inconclusive"
    if interval.n < FEWEST_SEEDS:
        return "too few seeds"
    if interval.low > test.margin and p_values[0] <= ALPHA and not paired.may_be_smaller:
        return "supported"
    if interval.high < -test.margin and p_values[1] <= ALPHA and not paired.may_be_greater:
        return "contradicted"
    bounded = paired.may_be_smaller or paired.may_be_greater
    if within_margin(paired.advantage, test.margin) and not bounded:
        return "no meaningful difference"
    return "inconclusive"


def advantage_interval(paired: Paired) -> Interval:
    """95% paired-t interval; of a bounded metric's difference, clipped to [-1, 1]."""
    interval = paired_interval(paired.advantage)
    if paired.metric.scale == "bounded" and paired.contrast.kind == "difference" and interval.n > 1:
        return interval._replace(low=max(-1.0, interval.low), high=min(1.0, interval.high))
    return interval


def _arms(contrast: Contrast) -> tuple[str, str]:
    return contrast.control, contrast.treatment


def failed_arms(
    study: Study, factor: str, arms: Sequence[str], cell: Cell, failed_below: float | None
) -> tuple[str, ...]:
    """Which of these arms have a mean skill, on training images if known, below failed_below in a cell."""
    name = next((name for name in ("skill_train", "skill_val") if name in study.metrics), None)
    if name is None or failed_below is None:
        return ()
    trials = in_cell(study, measured(study, factor, name), cell)
    trials = trials[trials["arm"].isin(arms)]
    others = [other for other in study.factors if other not in {*cell, factor} and "." not in other]
    means = trials.groupby(["arm", *others], observed=True)["value"].mean()
    found = means[means < failed_below].index.to_frame(index=False)
    return tuple(
        " ".join([str(row["arm"]), *(f"at {other} {row[other]}" for other in others)]) for _, row in found.iterrows()
    )


def _verdict(study: Study, claims: Claims, claim: Claim, judged: Sequence[CellVerdict]) -> Verdict:
    evidence = [
        _cell_verdict(study, claims, test, paired, (0.0, 0.0), num_tests=1)
        for test in claim.evidence
        for paired in _in_cells(study, claim, test)
    ]
    words = {cell.word for cell in judged}
    other_side = {"supported": "contradicted", "contradicted": "supported"}
    against = {other_side[word] for word in words if word in other_side}
    contested = tuple(item for item in evidence if item.word in against)
    word = words.pop() if len(words) == 1 else "mixed"
    marks = []
    sizes = {cell.interval.n for cell in judged if cell.interval.n >= FEWEST_SEEDS}
    if FEWEST_SEEDS in sizes:
        marks.append("preliminary")
    settings = _settings_mark(study, claim)
    if settings != SHARED or not claims.tuned:
        marks.append(settings)
    if claim.primary.smallest_effect is None:
        marks.append("exploratory")
    return Verdict(
        claim=claim,
        question=claims.question,
        word=f"{word}, contested" if contested else word,
        marks=tuple(marks),
        cells=tuple(judged),
        evidence=tuple(evidence),
        contested_by=contested,
        claims_sha256=claims.sha256,
    )


def _settings_mark(study: Study, claim: Claim) -> str:
    """How the settings of both arms' trials were chosen."""
    trials = with_arms(study, claim.primary.contrast.factor)
    keys = trials.loc[trials["arm"].isin(_arms(claim.primary.contrast)), "key"]
    return settings_mark([study.records[key] for key in keys], study.tuned)


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
