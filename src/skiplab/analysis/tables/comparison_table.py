"""The comparison table: each arm against the control, cell by cell, paired by seed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd

from skiplab.analysis.claims.collapse import find_collapse
from skiplab.analysis.claims.contrasts import Contrast, PairedContrast, compute_contrast
from skiplab.analysis.claims.notes import contrast_notes, state_notes
from skiplab.analysis.claims.p_values import advantage_interval
from skiplab.analysis.frames import column, frame_rows
from skiplab.analysis.statistics.effect_size import correlation, hedges_g, probability_of_improvement
from skiplab.analysis.statistics.intervals import paired_interval, welch_interval
from skiplab.analysis.study.arms import (
    Cell,
    CellLevels,
    arm_names,
    cell_factors,
    cell_levels,
    cells,
    control_arm,
    factor_under_test,
    in_cell,
    positions_by_arm,
    positions_in_cell,
)
from skiplab.analysis.study.cached_per_study import cached_per_study
from skiplab.analysis.study.collapsed import COLLAPSED_BELOW
from skiplab.analysis.study.metric_values import arm_values
from skiplab.analysis.study.study import Study
from skiplab.analysis.tables.comparison import BASELINES, select_metrics
from skiplab.analysis.text import exponential
from skiplab.metrics import Metric


@dataclass(frozen=True, kw_only=True)
class ComparisonTable:
    """Each arm against the control; printed, as in the terminal.

    study: its name.
    factor: the factor under test.
    cell_factors: the columns that say which cell a row is about.
    frame: a row for each metric, cell and arm, see `comparison_table`.
    """

    study: str
    factor: str
    cell_factors: tuple[str, ...]
    frame: pd.DataFrame

    @cached_property
    def by_metric(self) -> dict[str, "ComparisonTable"]:
        """A table for each metric, in order."""
        if self.frame.empty:
            return {}
        names = self.frame["metric"]
        return {name: replace(self, frame=self.frame.loc[names == name]) for name in names.drop_duplicates()}

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the frame as mappings."""
        return frame_rows(self.frame)

    @property
    def has_one_arm(self) -> bool:
        """Whether there is nothing to compare, so that rows show the arm's own means."""
        return set(self.frame["control"]) == {""}

    @property
    def has_several_treatments(self) -> bool:
        """Whether more than one arm is compared with the control, so that rows name theirs."""
        return len(set(self.frame["treatment"])) > 1

    def __repr__(self) -> str:
        from skiplab.analysis.tables.table_text import table_text

        return table_text(self)

    def _repr_html_(self) -> str:
        from skiplab.analysis.tables.table_files import table_html

        return table_html(self)


def comparison_table(
    study: Study,
    *,
    factor: str | None = None,
    control: str | None = None,
    metrics: Sequence[str] | None = None,
) -> ComparisonTable:
    """A row for each metric, cell and arm other than the control.

    control_mean, treatment_mean: over all seeds with a value, even where the other arm has none; geometric for a log
        metric.
    paired: whether the arms share seeds.
    effect, low, high: treatment minus control with its 95% paired t interval, or Welch's where the arms share no seed;
        for a log metric their ratio, as `effect_kind` says. Missing where an arm has collapsed, or where only survivors
        have a value.
    welch_low, welch_high: the same interval without pairing.
    correlation: between the arms over seeds.
    effect_size: Hedges' g of the paired differences.
    probability_greater: that a seed of the treatment exceeds one of the control.
    loss_zero, loss_affine: the losses of the zero predictor and of the best affine one.

    With a single arm, there is a row for each metric and cell: its mean and 95% interval; `control` is ''.

    Args:
        study: what to compare.
        factor: the factor under test, any that varies; or one that doesn't, for a table of one arm. None: the only one
            that varies, else connection.
        control: the arm compared with; None: plain where there is one, else the first.
        metrics: summary metrics, in order; None: those of DEFAULT_METRICS that the study has.

    Raises:
        SkiplabError: where factor, control or a metric is unknown.
    """
    factor = factor_under_test(study, factor)
    arms = arm_names(study, factor)
    names = select_metrics(study, metrics)
    if len(arms) < 2:
        if control is not None:
            control_arm(arms, control)  # refuses what is none
        rows = [_row_of_one_arm(study, factor, *row) for row in _row_keys(study, factor, names, arms)]
    else:
        control = control_arm(arms, control)
        treatments = [arm for arm in arms if arm != control]
        rows = [_row(study, factor, control, *row) for row in _row_keys(study, factor, names, treatments)]
    return ComparisonTable(
        study=study.name,
        factor=factor,
        cell_factors=tuple(cell_factors(study, factor)),
        frame=pd.DataFrame([row for row in rows if row is not None]),
    )


class _RowKey(NamedTuple):
    metric: str
    cell: Cell
    arm: str


def _row_keys(study: Study, factor: str, metrics: Sequence[str], arms: Sequence[str]) -> list[_RowKey]:
    """Every metric in every cell; a cell whose trials are done without the metric has no row."""
    trials_of = [(cell, in_cell(study, study.trials, cell)) for cell in cells(study, factor)]
    return [
        _RowKey(metric, cell, arm)
        for metric in metrics
        for cell, trials in trials_of
        if trials[metric].notna().to_numpy().any()
        or set(trials["status"]) - {"done"}
        or any(metric in study.missing.get(key, {}) for key in trials["key"])  # measured, without a finite number
        for arm in arms
    ]


def _row(study: Study, factor: str, control: str, name: str, cell: Cell, treatment: str) -> dict[str, Any] | None:
    """A treatment against the control; None for an arm that has no trials in a cell where others have."""
    contrast = Contrast(metric=name, kind="difference", factor=factor, control=control, treatment=treatment)
    paired = compute_contrast(study, contrast, cell)
    metric = study.metrics[name]
    trials = _trials_in(study, factor, cell_levels(cell))
    only_control = set(trials.diverged) == {control} and set(arm_names(study, factor)) == {control, treatment}
    if treatment not in trials.diverged and not only_control:
        return None
    values = {arm: arm_values(study, factor, name, cell, arm).by_seed for arm in contrast.arms}
    collapse = find_collapse(study, factor, contrast.arms, cell)
    spread = paired_interval(paired.advantage) if paired.is_paired else advantage_interval(paired)
    notes = contrast_notes(paired, spread) + _collapse_notes(collapse.arms) + collapse.notes
    return {
        **_head(name, metric, cell, control, treatment),
        "n": paired.n,
        "paired": paired.is_paired,
        "control_mean": _mean(metric, values[control]),
        "treatment_mean": _mean(metric, values[treatment]),
        **_effect(paired, metric, has_size=not collapse.arms and not paired.survivors_only),
        "control_diverged": trials.diverged.get(control, 0),
        "treatment_diverged": trials.diverged.get(treatment, 0),
        "control_collapsed": control in collapse.arms,
        "treatment_collapsed": treatment in collapse.arms,
        **trials.baselines,
        "notes": "; ".join(notes),
    }


def _row_of_one_arm(study: Study, factor: str, name: str, cell: Cell, arm: str) -> dict[str, Any]:
    metric = study.metrics[name]
    trials = _trials_in(study, factor, cell_levels(cell))
    values = arm_values(study, factor, name, cell, arm)
    interval = paired_interval(values.by_seed)
    collapse = find_collapse(study, factor, (arm,), cell)
    notes = [*state_notes(arm, values.states, metric), *_collapse_notes(collapse.arms), *collapse.notes]
    return {
        **_head(name, metric, cell, "", arm),
        "n": interval.n,
        "treatment_mean": _mean(metric, values.by_seed),
        "low": _unscaled(metric, interval.low),
        "high": _unscaled(metric, interval.high),
        "treatment_diverged": trials.diverged.get(arm, 0),
        "treatment_collapsed": arm in collapse.arms,
        **trials.baselines,
        "notes": "; ".join(notes),
    }


class _TrialsInCell(NamedTuple):
    """What a row says about a cell's trials beside the metric: how many of each arm diverged, and the baselines."""

    diverged: Mapping[str, int]
    baselines: Mapping[str, float]


@cached_per_study
def _trials_in(study: Study, factor: str, levels: CellLevels) -> _TrialsInCell:
    positions, diverged = positions_in_cell(study, levels), (study.trials["status"] == "diverged").to_numpy()
    return _TrialsInCell(
        diverged={arm: int(diverged[own].sum()) for arm, own in positions_by_arm(study, factor, levels).items()},
        baselines={
            name: float(column(study.trials, name).take(positions).mean())
            for name in BASELINES
            if name in study.metrics
        },
    )


def _head(name: str, metric: Metric, cell: Cell, control: str, treatment: str) -> dict[str, Any]:
    return {
        "metric": name,
        "label": metric.label,
        "better": metric.direction or "neither",
        "scale": metric.scale,
        **cell,
        "control": control,
        "treatment": treatment,
    }


def _effect(paired: PairedContrast, metric: Metric, *, has_size: bool) -> dict[str, Any]:
    interval = advantage_interval(paired)  # direction 'higher': treatment minus control
    treatment, control = paired.treatment.to_numpy(), paired.control.to_numpy()
    welch = welch_interval(treatment, control)
    numbers = {
        "effect": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "welch_low": welch.low,
        "welch_high": welch.high,
    }
    return {
        "effect_kind": "ratio" if metric.scale == "log" else "difference",
        **{name: _unscaled(metric, value) if has_size else math.nan for name, value in numbers.items()},
        "correlation": correlation(treatment, control),
        "effect_size": hedges_g(paired.advantage.to_numpy()) if has_size else math.nan,
        "probability_greater": probability_of_improvement(treatment, control),
    }


def _collapse_notes(arms: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{arm} collapsed: mean skill below {COLLAPSED_BELOW:g}" for arm in arms)


def _mean(metric: Metric, values: pd.Series) -> float:
    return _unscaled(metric, float(values.mean()))


def _unscaled(metric: Metric, value: float) -> float:
    """A value on the metric's scale as a number of its own."""
    return exponential(value) if metric.scale == "log" else value
