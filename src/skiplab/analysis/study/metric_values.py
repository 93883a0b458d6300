"""A metric of a study's trials on the scale that it declares, with the state that explains each value."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from skiplab.analysis.study.arms import Cell, cell_levels, in_cell, with_arms
from skiplab.analysis.study.cached_per_study import cached_per_study
from skiplab.analysis.study.collapsed import COLLAPSED, has_collapsed, skill_metric
from skiplab.analysis.study.study import Study
from skiplab.metrics import Metric


@cached_per_study
def metric_values(study: Study, factor: str, name: str) -> pd.DataFrame:
    """A metric in every trial: `arm`, `seed`, `status`, the factors, and `value` and `state` of `scale_metric`."""
    if name == COLLAPSED and name not in study.metrics and (skill := skill_metric(study)):
        return has_collapsed(metric_values(study, factor, skill))
    trials = with_arms(study, factor)
    not_finite = {key for key, missing in study.missing.items() if name in missing}
    values = scale_metric(trials, name, study.metrics[name], not_finite)
    return trials[["arm", "seed", "status", *study.factors]].join(values)


def arm_values(study: Study, factor: str, name: str, cell: Cell, arm: str) -> pd.DataFrame:
    """The rows of `metric_values` of an arm in a cell."""
    values = _values_by_arm(study, factor, name, cell_levels(cell))
    return values.by_arm.get(arm, values.empty)


class _ValuesByArm(NamedTuple):
    empty: pd.DataFrame
    by_arm: Mapping[str, pd.DataFrame]


@cached_per_study
def _values_by_arm(study: Study, factor: str, name: str, levels: tuple[tuple[str, str], ...]) -> _ValuesByArm:
    values = in_cell(study, metric_values(study, factor, name), dict(levels))
    by_arm = {str(arm): rows for arm, rows in values.groupby("arm", observed=True)}
    return _ValuesByArm(values.iloc[:0], by_arm)


def scale_metric(trials: pd.DataFrame, name: str, metric: Metric, not_finite: Collection[str] = ()) -> pd.DataFrame:
    """The metric of each trial on its declared scale: `value`, and the `state` that explains it.

    A state is 'measured', 'diverged', 'censored' (at or below the metric's floor), 'not reached' (the value is a lower
    bound), 'not finite', 'not positive', 'without a value', or the status of a trial that has not ended.

    Args:
        trials: rows of a study's trials.
        name: the column of the metric.
        metric: its declaration.
        not_finite: keys of the trials that were measured and gave no finite number.
    """
    reached = trials[metric.reached] if metric.reached in trials else pd.Series(np.nan, index=trials.index)
    if_absent = np.where(trials["key"].isin(list(not_finite)), "not finite", "without a value").tolist()
    rows = [_scaled(*row, metric) for row in zip(trials["status"], trials[name], reached, if_absent, strict=True)]
    frame = pd.DataFrame(rows, columns=["value", "state"], index=trials.index)
    return frame.astype({"value": float, "state": "category"})


def _scaled(status: str, raw: float, reached: float, if_absent: str, metric: Metric) -> tuple[float, str]:
    """The value on the metric's scale with its state, which is `if_absent` where a finished trial has no number."""
    state = "measured"
    if status == "diverged":
        state = "diverged"
        if metric.if_diverged is None:
            raw = np.nan
        elif isinstance(metric.if_diverged, str):  # 'measured': the value that it had
            state = "not reached" if reached == 0 else state
        else:
            raw = metric.if_diverged
    elif status != "done":
        return np.nan, status
    elif not np.isfinite(raw):
        return np.nan, if_absent
    elif reached == 0:
        state = "not reached"
    elif metric.floor is not None and raw <= metric.floor:
        raw, state = metric.floor, "censored"
    if metric.scale != "log":
        return raw, state
    if raw <= 0:
        return np.nan, "not positive"
    return float(np.log(raw)), state
