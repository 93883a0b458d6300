"""A metric of a study's trials on the scale that it declares, with the state that explains each value."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from skiplab.analysis.frames import column
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
    return trials[list(dict.fromkeys(["arm", "seed", "status", *study.factors]))].join(values)


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
    arms = column(values, "arm").to_numpy(dtype=object)
    by_arm = {str(arm): values.loc[arms == arm] for arm in dict.fromkeys(arms)}
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
    status, raw = np.asarray(trials["status"].astype(object)), np.array(trials[name], dtype=float)
    done, diverged = status == "done", status == "diverged"
    bound = np.array(trials[metric.reached] == 0) if metric.reached in trials else np.zeros(len(trials), dtype=bool)
    absent = done & ~np.isfinite(raw)
    measured = done & ~absent
    raw[~(measured | diverged)] = np.nan
    if not isinstance(metric.if_diverged, str):  # else 'measured': the value that it had
        raw[diverged] = np.nan if metric.if_diverged is None else metric.if_diverged
        bound &= ~diverged
    state = np.where(measured, "measured", status)
    state[absent] = np.where(trials["key"].isin(list(not_finite)), "not finite", "without a value")[absent]
    if metric.floor is not None:
        censored = measured & ~bound & (raw <= metric.floor)
        raw[censored], state[censored] = metric.floor, "censored"
    state[bound & (measured | diverged)] = "not reached"
    if metric.scale == "log":
        not_positive = raw <= 0
        raw[not_positive], state[not_positive] = np.nan, "not positive"
        raw = np.log(raw)
    return pd.DataFrame({"value": raw, "state": pd.Categorical(state)}, index=trials.index)
