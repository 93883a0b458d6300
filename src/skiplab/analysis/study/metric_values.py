"""A metric of a study's trials on the scale that it declares, with the state that explains each value."""

from collections import Counter
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skiplab.analysis.frames import column
from skiplab.analysis.study.arms import Cell, CellLevels, cell_levels, positions_by_arm, with_arms
from skiplab.analysis.study.cached_per_study import cached_per_study
from skiplab.analysis.study.collapsed import COLLAPSED, has_collapsed, skill_metric
from skiplab.analysis.study.study import Study
from skiplab.metrics import Metric


@cached_per_study
def metric_values(study: Study, factor: str, name: str) -> pd.DataFrame:
    """A metric in every trial: `arm`, `seed`, `status`, the factors, and `value` and `state` of `scale_metric`."""
    if name == COLLAPSED and (skill := skill_metric(study)):
        return has_collapsed(metric_values(study, factor, skill))
    trials = with_arms(study, factor)
    not_finite = {key for key, missing in study.missing.items() if name in missing}
    values = scale_metric(trials, name, study.metrics[name], not_finite)
    return trials[list(dict.fromkeys(["arm", "seed", "status", *study.factors]))].join(values)


class _Columns(NamedTuple):
    """The rows of `metric_values`, and three of their columns as arrays, which are quick to take from."""

    rows: pd.DataFrame
    seed: np.ndarray
    value: np.ndarray
    state: np.ndarray
    states: Sequence[str]


@cached_per_study
def _columns(study: Study, factor: str, name: str) -> _Columns:
    rows = metric_values(study, factor, name)
    seed, value, state = (column(rows, each) for each in ("seed", "value", "state"))
    return _Columns(rows, seed.to_numpy(), value.to_numpy(), state.cat.codes.to_numpy(), tuple(state.cat.categories))


class ArmValues:
    """A metric in the trials of an arm in a cell; what is asked for is made when it is, as few ask for all of it."""

    def __init__(self, every: _Columns, positions: np.ndarray) -> None:
        self._every, self._positions = every, positions

    def __len__(self) -> int:
        return len(self._positions)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The rows of `metric_values`."""
        return self._every.rows.take(self._positions)

    def at(self, factor: str, levels: Sequence[Any]) -> "ArmValues":
        """Those of the trials that have one of these levels of a factor."""
        return ArmValues(self._every, self._positions[self.rows[factor].isin(levels).to_numpy()])

    @cached_property
    def seeds(self) -> frozenset[Any]:
        """The seeds of the trials."""
        return frozenset(self._every.seed[self._positions].tolist())

    @cached_property
    def by_seed(self) -> pd.Series:
        """The values by seed, in the order of the seeds."""
        order = self._positions[np.argsort(self._every.seed[self._positions], kind="stable")]
        return pd.Series(self._every.value[order], index=pd.Index(self._every.seed[order], name="seed"), name="value")

    @cached_property
    def states(self) -> Counter[str]:
        """How many trials are in each state of `scale_metric`."""
        return self._count_states(self._positions)

    @cached_property
    def states_without_value(self) -> Counter[str]:
        """How many trials without a value are in each state."""
        return self._count_states(self._positions[np.isnan(self._every.value[self._positions])])

    def _count_states(self, positions: np.ndarray) -> Counter[str]:
        names = self._every.states
        counts = np.bincount(self._every.state[positions], minlength=len(names)).tolist()
        return Counter({name: count for name, count in zip(names, counts, strict=True) if count})


def arm_values(study: Study, factor: str, name: str, cell: Cell, arm: str) -> ArmValues:
    """The values of a metric of an arm in a cell."""
    return _arm_values(study, factor, name, cell_levels(cell), arm)


@cached_per_study
def _arm_values(study: Study, factor: str, name: str, levels: CellLevels, arm: str) -> ArmValues:
    positions = positions_by_arm(study, factor, levels).get(arm, np.array([], dtype=int))
    return ArmValues(_columns(study, factor, name), positions)


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
    raw[~np.isfinite(raw)] = np.nan
    if metric.floor is not None:
        censored = measured & ~bound & (raw <= metric.floor)
        raw[censored], state[censored] = metric.floor, "censored"
    state[bound & (measured | diverged)] = "not reached"
    if metric.scale == "log":
        not_positive = raw <= 0
        raw[not_positive], state[not_positive] = np.nan, "not positive"
        raw = np.log(raw)
    return pd.DataFrame({"value": raw, "state": pd.Categorical(state)}, index=trials.index)
