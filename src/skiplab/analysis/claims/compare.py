"""Contrasts, a number a seed: the advantage of the treatment over the control in the claimed direction."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from skiplab.analysis.claims.unmeasured import not_measured
from skiplab.analysis.study.arms import Cell, constant, in_cell, with_arms
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import cell_text
from skiplab.metrics import Metric

# States of trials that have ended; where one leaves no value, whoever has one is a survivor.
LOST = {
    "diverged": "that diverged",
    "not finite": "that gave no finite number",
    "not positive": "whose value isn't above 0",
}
_SLOPE_NEEDS = "a slope needs two levels of {over} above 0 in each arm"
_NEEDED = {
    "slope": _SLOPE_NEEDS,
    "rate": _SLOPE_NEEDS,
    "interaction": _SLOPE_NEEDS,
    "change": "a change needs the lowest and the highest level of {over} in each arm",
}


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """What to compute of a metric, per seed.

    kind: 'difference', treatment minus control within a cell; 'slope', of the treatment, per doubling of
        `over`, whose levels are numbers above 0; 'rate', the same per unit of `over`; 'interaction', the
        treatment's slope minus the control's;
        'change', by how much more the metric changes in the treatment than in the control from the lowest to
        the highest level of `over` in the study, which may be any numbers.
    direction: which of treatment and control (for a slope or a rate, of late and early) is claimed to be greater;
        'equal': a slope or a rate is claimed to be `expected`, on the metric's scale.
    """

    metric: str
    kind: Literal["difference", "slope", "rate", "interaction", "change"]
    factor: str
    control: str
    treatment: str
    direction: Literal["higher", "lower", "equal"] = "higher"
    over: str | None = None
    expected: float = 0.0

    @property
    def of_one_arm(self) -> bool:
        """Whether the control has no part in it."""
        return self.kind in ("slope", "rate")


@dataclass(frozen=True, kw_only=True)
class Paired:
    """A contrast in one cell.

    advantage: one value a seed, positive in the claimed direction (of 'equal', what there is above the expected
        value), nan where it is missing.
    control, treatment: the arms' values (or slopes, or changes) a seed, on the metric's scale.
    states: for each arm, how many trials are 'measured', 'diverged', 'censored' (at or below the floor), 'not
        reached' (a lower bound), 'not finite', 'failed', 'running', ...
    lost: the states of trials that have ended with no value of this metric, so that their seeds are missing.
    levels: the levels of `over` that the slopes or changes rest on.
    missing: why there is nothing to compute, '' where there is.
    """

    contrast: Contrast
    cell: Cell
    metric: Metric
    advantage: pd.Series
    control: pd.Series
    treatment: pd.Series
    states: Mapping[str, Counter]
    lost: tuple[str, ...]
    levels: tuple[Any, ...] = ()
    missing: str = ""

    @property
    def on_survivors(self) -> bool:
        """Whether seeds are missing for what became of their trials, so that the others are the luckier ones."""
        return bool(self.lost)

    @property
    def may_be_smaller(self) -> bool:
        """Whether values that were not reached, which are lower bounds, leave room for a smaller advantage."""
        return self._has_bound(claimed_greater=False)

    @property
    def may_be_greater(self) -> bool:
        """Whether they leave room for a greater advantage."""
        return self._has_bound(claimed_greater=True)

    def _has_bound(self, *, claimed_greater: bool) -> bool:
        bounds = {arm for arm, states in self.states.items() if states["not reached"]}
        if self.contrast.kind != "difference":
            return bool(bounds)  # of a slope or a change, a bound may lie at either end
        favours_treatment = claimed_greater == (self.contrast.direction == "higher")
        return (self.contrast.treatment if favours_treatment else self.contrast.control) in bounds

    def count(self, state: str) -> int:
        """Trials of both arms in this state."""
        return sum(states[state] for states in self.states.values())


def measured(study: Study, factor: str, name: str) -> pd.DataFrame:
    """A metric in every trial: `arm`, `seed`, `status`, the factors, and `value` and `state` of `scaled`."""
    if ("measured", factor, name) not in study.derived:
        trials = with_arms(study, factor)
        not_finite = {key for key, missing in study.missing.items() if name in missing}
        found = scaled(trials, name, study.metrics[name], not_finite)
        study.derived["measured", factor, name] = trials[["arm", "seed", "status", *study.factors]].join(found)
    return study.derived["measured", factor, name]


def measured_of(study: Study, factor: str, name: str, cell: Cell, arm: str) -> pd.DataFrame:
    """The rows of `measured` of an arm in a cell."""
    place = ("measured of", factor, name, cell_text(cell))
    if place not in study.derived:
        chosen = in_cell(study, measured(study, factor, name), cell)
        study.derived[place] = (chosen.iloc[:0], dict(iter(chosen.groupby("arm", observed=True))))
    none, arms = study.derived[place]
    return arms.get(arm, none)


def scaled(trials: pd.DataFrame, name: str, metric: Metric, not_finite: Collection[str] = ()) -> pd.DataFrame:
    """The metric of each trial on its declared scale: `value`, and the `state` that explains it.

    not_finite: keys of the trials that were measured and gave no finite number.
    """
    reached = trials[metric.reached] if metric.reached in trials else pd.Series(np.nan, index=trials.index)
    without = trials["key"].isin(not_finite).map({True: "not finite", False: "without a value"})
    rows = [_scaled(*row, metric) for row in zip(trials["status"], trials[name], reached, without, strict=True)]
    return pd.DataFrame(rows, columns=["value", "state"], index=trials.index).astype(
        {"value": float, "state": "category"}
    )


def _scaled(status: str, raw: float, reached: float, without: str, metric: Metric) -> tuple[float, str]:
    """`without` is the state where there is no number."""
    state = "measured"
    if status == "diverged":
        state = "diverged"
        if metric.if_diverged != "measured":
            raw = np.nan if metric.if_diverged is None else metric.if_diverged
        elif reached == 0:
            state = "not reached"
    elif status != "done":
        return np.nan, status
    elif not np.isfinite(raw):
        return np.nan, without
    elif reached == 0:
        state = "not reached"
    elif metric.floor is not None and raw <= metric.floor:
        raw, state = metric.floor, "censored"
    if metric.scale != "log":
        return raw, state
    if raw <= 0:
        return np.nan, "not positive"
    return float(np.log(raw)), state


def compare(study: Study, contrast: Contrast, cell: Cell) -> Paired:
    """Compute a contrast in a cell, paired by seed.

    Raises:
        SkiplabError: where the factor, or `over`, is unknown.
    """
    metric = study.metrics.get(contrast.metric)
    if metric is None:
        return _nothing(contrast, cell, not_measured(contrast.metric, study))
    names = [contrast.treatment] if contrast.of_one_arm else [contrast.control, contrast.treatment]
    arms = {name: measured_of(study, contrast.factor, contrast.metric, cell, name) for name in names}
    if empty := [name for name, rows in arms.items() if rows.empty]:
        return _nothing(contrast, cell, f"no trials of {', '.join(empty)}")
    levels: tuple[Any, ...] = ()
    if contrast.kind != "difference":
        levels = _levels(study, contrast, arms)
        if len(levels) < 2:
            return _nothing(contrast, cell, _NEEDED[contrast.kind].format(over=contrast.over))
        arms = {name: rows[rows[contrast.over].isin(levels)] for name, rows in arms.items()}
    per_seed = {name: _by_seed(rows, contrast, levels) for name, rows in arms.items()}
    treatment = per_seed[contrast.treatment]
    control = treatment * 0.0 + contrast.expected if contrast.of_one_arm else per_seed[contrast.control]
    treatment, control = treatment.align(control, join="outer")
    return Paired(
        contrast=contrast,
        cell=cell,
        metric=metric,
        advantage=(treatment - control) * (-1.0 if contrast.direction == "lower" else 1.0),
        control=control,
        treatment=treatment,
        states={name: Counter(rows["state"]) for name, rows in arms.items()},
        lost=_lost(arms.values()),
        levels=levels,
    )


def _lost(arms: Iterable[pd.DataFrame]) -> tuple[str, ...]:
    """The states of `LOST` in which a trial has no value."""
    found = {state for rows in arms for state in rows.loc[rows["value"].isna(), "state"]}
    return tuple(state for state in LOST if state in found)


def _levels(study: Study, contrast: Contrast, arms: Mapping[str, pd.DataFrame]) -> tuple[Any, ...]:
    """The levels of `over` that a contrast rests on, as far as every arm has them; none where it doesn't vary.

    Of a change, the study's lowest and highest; of a slope, all numbers above 0.
    """
    over = contrast.over
    if over not in study.factors:
        constant(study, over)
        return ()
    if not pd.api.types.is_numeric_dtype(study.trials[over]):
        return ()
    shared = set.intersection(*(set(rows[over]) for rows in arms.values()))
    if contrast.kind == "change":
        shared &= {study.trials[over].min(), study.trials[over].max()}
        return tuple(sorted(shared))
    return tuple(sorted(level for level in shared if level > 0))


def slopes(rows: pd.DataFrame, over: str, levels: Sequence[float], *, per_doubling: bool = True) -> pd.Series:
    """Least-squares slope of the value per doubling or unit of `over`, a seed; nan where a seed lacks a level."""
    table = rows.pivot(index="seed", columns=over, values="value").reindex(columns=list(levels))
    x = np.asarray(levels, dtype=float)
    x = np.log2(x) if per_doubling else x
    centred = x - x.mean()
    return pd.Series(table.to_numpy() @ centred / (centred @ centred), index=table.index)


def _by_seed(rows: pd.DataFrame, contrast: Contrast, levels: Sequence[float]) -> pd.Series:
    """An arm's number a seed."""
    if contrast.kind == "difference":
        return rows.set_index("seed")["value"].sort_index()
    if contrast.kind == "change":
        lowest, highest = levels
        table = rows.pivot(index="seed", columns=contrast.over, values="value")
        return table[highest] - table[lowest]
    return slopes(rows, contrast.over, levels, per_doubling=contrast.kind != "rate")


def _nothing(contrast: Contrast, cell: Cell, missing: str) -> Paired:
    empty = pd.Series(dtype=float)
    return Paired(
        contrast=contrast,
        cell=cell,
        metric=Metric(label=contrast.metric, direction=None),
        advantage=empty,
        control=empty,
        treatment=empty,
        states={},
        lost=(),
        missing=missing,
    )
