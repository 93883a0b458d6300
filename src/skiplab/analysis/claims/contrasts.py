"""Contrasts between two arms in a cell, one number for each seed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from skiplab.analysis.claims.unmeasured import not_measured
from skiplab.analysis.frames import column
from skiplab.analysis.study.arms import Cell, constant
from skiplab.analysis.study.collapsed import metrics_of
from skiplab.analysis.study.metric_values import ArmValues, arm_values
from skiplab.analysis.study.study import Study
from skiplab.metrics import Metric

# States in which a trial has ended without a value. The seeds that do have one are then a biased selection: survivors.
LOST_STATES = {
    "diverged": "that diverged",
    "not finite": "that gave no finite number",
    "not positive": "whose value isn't above 0",
}
# States of values that are bounds, with the sign of what they may lack to the true value.
_TOO_LOW = {"not reached": 1.0, "censored": -1.0}
ContrastKind = Literal["difference", "slope", "rate", "interaction", "change"]
Direction = Literal["higher", "lower", "not_higher", "not_lower", "equal"]
ONE_ARM: tuple[ContrastKind, ...] = ("slope", "rate")
_SLOPE_NEEDS = "a slope needs two levels of {over} above 0 in each arm"
_NEEDS = {
    "slope": _SLOPE_NEEDS,
    "rate": _SLOPE_NEEDS,
    "interaction": _SLOPE_NEEDS,
    "change": "a change needs the lowest and the highest level of {over} in each arm",
}


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """What to compute of a metric for each seed.

    kind:
        'difference': treatment minus control within a cell.
        'slope': of the treatment, per doubling of `over`, whose levels are numbers above 0.
        'rate': the same per unit of `over`.
        'interaction': the treatment's slope minus the control's.
        'change': the metric's change from the lowest to the highest level of `over` in the study, in the treatment
            minus in the control; levels may be any numbers.
    direction: the claim. 'higher' and 'lower': the contrast is positive, or negative. 'not_lower' and 'not_higher': it
        isn't negative, or isn't positive. 'equal': a slope or a rate equals `expected`, on the metric's scale.
    control, treatment: the arms; a slope or a rate is the treatment's alone.
    mean_over: factors over whose levels the metric's mean is taken for each seed, before anything else.
    """

    metric: str
    kind: ContrastKind
    factor: str
    control: str
    treatment: str
    direction: Direction = "higher"
    over: str | None = None
    expected: float = 0.0
    mean_over: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its kind, and what is averaged over."""
        return f"{self.kind}, mean over {', '.join(self.mean_over)}" if self.mean_over else self.kind

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that have a part in it."""
        return (self.treatment,) if self.of_one_arm else (self.control, self.treatment)

    @property
    def of_one_arm(self) -> bool:
        """Whether the control has no part in it."""
        return self.kind in ONE_ARM

    @property
    def claimed_sign(self) -> float:
        """1 if higher values are in the claim's favor, -1 if lower ones are."""
        return -1.0 if self.direction in ("lower", "not_higher") else 1.0


class Events(NamedTuple):
    """How many events an arm had, at one level of `over`, and the weight of their rate in the advantage.

    num: a whole number, unless it is what more seeds are expected to show, or trials of one seed are averaged.
    exposure: trials, or the unit of a count; seeds where the trials of a seed are averaged over the levels of a factor,
        for what one seed does at several levels may be one event.
    """

    num: float
    exposure: float
    weight: float


@dataclass(frozen=True, kw_only=True)
class PairedContrast:
    """A contrast in one cell, paired by seed where the arms share any.

    advantage: one value for each seed, positive in the claimed direction (for 'equal': the excess over the expected
        value); nan where it is missing.
    control, treatment: each arm's own values (or slopes, or changes), on the metric's scale.
    states: for each arm, the number of its trials in each state of `scale_metric`.
    lost_states: the states of trials that have ended without a value, see `LOST_STATES`.
    levels: the levels of `over` that slopes or changes use.
    of_arms: for each arm its values, at these levels.
    events: of events and counts, those of each arm at each level; the advantage is the sum of weight x rate, less what
        is expected. None for other metrics.
    is_paired: False where the arms share no seed, so that no difference can be formed for a seed, and the arms are
        compared as independent samples.
    missing: why there is nothing to compute, else ''.
    """

    contrast: Contrast
    cell: Cell
    metric: Metric
    advantage: pd.Series
    control: pd.Series
    treatment: pd.Series
    states: Mapping[str, Counter[str]]
    lost_states: tuple[str, ...]
    levels: tuple[Any, ...] = ()
    of_arms: Mapping[str, ArmValues] = field(default_factory=dict)
    events: tuple[Events, ...] | None = None
    is_paired: bool = True
    missing: str = ""

    @cached_property
    def values(self) -> Mapping[str, pd.DataFrame]:
        """For each arm the metric of each seed, at each of the levels: seed, the factor `over`, value."""
        return _averaged(self.of_arms, self.contrast)

    @property
    def n(self) -> int:
        """The number of pairs; of arms that share no seed, the seeds of the smaller one."""
        values = [self.advantage] if self.is_paired else [self.control, self.treatment]
        return min(int((~np.isnan(each.to_numpy())).sum()) for each in values)

    @property
    def claimed_greater(self) -> tuple[pd.Series, pd.Series]:
        """The values of the arm that is claimed to be greater, then those of the other."""
        return (self.treatment, self.control) if self.contrast.claimed_sign > 0 else (self.control, self.treatment)

    @property
    def survivors_only(self) -> bool:
        """Whether some trials have ended without a value, so that the other seeds are a biased selection."""
        return bool(self.lost_states)

    @property
    def may_be_smaller(self) -> bool:
        """Whether the true advantage may be smaller, because some values are only bounds."""
        return -1.0 in self._errors

    @property
    def may_be_greater(self) -> bool:
        """Whether the true advantage may be greater, because some values are only bounds."""
        return 1.0 in self._errors

    @cached_property
    def _errors(self) -> frozenset[float]:
        """The signs of what bounds may lack to the true advantage: values not reached are too low, floors too high.

        A bound on either side leaves open whether a value is the claimed one.
        """
        found: set[float] = set()
        for arm, values in self.of_arms.items():
            if not any(values.states[state] for state in _TOO_LOW):
                continue
            for level, weight in _signed_weights(self.contrast, arm, self.levels).items():
                own = values if level is None else values.at(str(self.contrast.over), [level])
                found |= {sign * float(np.sign(weight)) for state, sign in _TOO_LOW.items() if own.states[state]}
        return frozenset(found if self.contrast.direction != "equal" else {*found, *(-sign for sign in found)})

    def count(self, state: str) -> int:
        """The number of trials of both arms in this state."""
        return sum(states[state] for states in self.states.values())


def compute_contrast(study: Study, contrast: Contrast, cell: Cell) -> PairedContrast:
    """Compute a contrast in a cell, paired by seed where the arms share any.

    Raises:
        SkiplabError: where the factor, `over`, or a factor of `mean_over` is unknown.
    """
    metric = metrics_of(study).get(contrast.metric)
    if metric is None:
        return _without_values(contrast, cell, not_measured(contrast.metric, study))
    for name in contrast.mean_over:
        if name not in study.factors:
            constant(study, name)
    arms = {name: arm_values(study, contrast.factor, contrast.metric, cell, name) for name in contrast.arms}
    if empty := [name for name, values in arms.items() if not len(values)]:
        return _without_values(contrast, cell, f"no trials of {', '.join(empty)}")
    levels: tuple[Any, ...] = ()
    if contrast.kind != "difference":
        levels = _levels(study, contrast, arms)
        if len(levels) < 2:
            return _without_values(contrast, cell, _NEEDS[contrast.kind].format(over=contrast.over))
        arms = {name: values.at(str(contrast.over), levels) for name, values in arms.items()}
    if contrast.kind == "difference" and not contrast.mean_over:
        per_seed = values = {name: own.by_seed for name, own in arms.items()}
    else:
        averaged = _averaged(arms, contrast)
        per_seed = {name: _by_seed(rows, contrast, levels) for name, rows in averaged.items()}
        values = {name: column(rows, "value") for name, rows in averaged.items()}
    treatment = per_seed[contrast.treatment]
    control = treatment * 0.0 + contrast.expected if contrast.of_one_arm else per_seed[contrast.control]
    if not treatment.index.equals(control.index):
        treatment, control = treatment.align(control, join="outer")
    return PairedContrast(
        contrast=contrast,
        cell=cell,
        metric=metric,
        advantage=pd.Series(
            _without_rounding(treatment.to_numpy() - control.to_numpy(), _rounding(values.values(), contrast, levels))
            * contrast.claimed_sign,
            index=treatment.index,
            name=treatment.name,
        ),
        control=control,
        treatment=treatment,
        states={name: values.states for name, values in arms.items()},
        lost_states=_lost_states(arms.values()),
        levels=levels,
        of_arms=arms,
        events=_events(study, contrast, metric, cell, arms, levels),
        is_paired=contrast.of_one_arm or not arms[contrast.control].seeds.isdisjoint(arms[contrast.treatment].seeds),
    )


def _without_rounding(differences: np.ndarray, rounding: float) -> np.ndarray:
    """Differences that are all equal but for so much, as equal."""
    finite = differences[np.isfinite(differences)]
    if not len(finite) or np.ptp(finite) > rounding:
        return differences
    common = 0.0 if abs(finite[0]) <= rounding else finite[0]
    return np.where(np.isfinite(differences), common, differences)


def _rounding(values: Iterable[pd.Series], contrast: Contrast, levels: Sequence[float]) -> float:
    """How much the rounding of an arm's values may come to in the number of a seed."""
    largest = max(float(np.abs(own[np.isfinite(own)]).max(initial=0.0)) for own in map(np.asarray, values))
    return 1e-12 * largest * sum(map(abs, _weights(contrast, levels).values()))


def _events(
    study: Study,
    contrast: Contrast,
    metric: Metric,
    cell: Cell,
    arms: Mapping[str, ArmValues],
    levels: Sequence[float],
) -> tuple[Events, ...] | None:
    """The events of each arm at each level; None of a continuous metric, or where an exposure isn't known."""
    if metric.kind == "continuous" or (metric.kind == "count" and metric.exposure not in study.metrics):
        return None
    found = []
    every = _averaged(arms, contrast) if metric.kind == "event" else {arm: own.rows for arm, own in arms.items()}
    num_levels = _num_levels(arms, contrast) if metric.kind == "count" else 1
    for arm, rows in every.items():
        values, exposures = column(rows, "value").to_numpy(dtype=float), np.ones(len(rows))
        if metric.kind == "count":
            assert metric.exposure is not None
            measured = arm_values(study, contrast.factor, metric.exposure, cell, arm).rows
            exposures = column(measured, "value").reindex(rows.index).to_numpy(dtype=float)
        known = ~(np.isnan(values) | np.isnan(exposures))
        for level, weight in _signed_weights(contrast, arm, levels).items():
            own = known if level is None else known & np.asarray(rows[str(contrast.over)] == level)
            num, exposure = float((values[own] * exposures[own]).sum()), float(exposures[own].sum())
            found.append(Events(round(num, 6) / num_levels, exposure / num_levels, weight))
    return tuple(found) if all(each.exposure > 0 for each in found) else None


def _signed_weights(contrast: Contrast, arm: str, levels: Sequence[float]) -> dict[float | None, float]:
    """The weight of an arm's value at each level of `over` in the advantage."""
    sign = contrast.claimed_sign * (-1.0 if arm == contrast.control and not contrast.of_one_arm else 1.0)
    return {level: sign * weight for level, weight in _weights(contrast, levels).items()}


def _weights(contrast: Contrast, levels: Sequence[float]) -> dict[float | None, float]:
    """The weight of a metric's value at each level of `over` in an arm's own number."""
    if contrast.kind == "difference":
        return {None: 1.0}
    if contrast.kind == "change":
        lowest, highest = levels
        return {lowest: -1.0, highest: 1.0}
    centered = _centered(levels, per_doubling=contrast.kind != "rate")
    centered[np.abs(centered) < 1e-9 * np.abs(centered).max()] = 0.0  # in the middle of equal steps, but for rounding
    return dict(zip(levels, (centered / (centered @ centered)).tolist(), strict=True))


def _lost_states(arms: Iterable[ArmValues]) -> tuple[str, ...]:
    """The states of `LOST_STATES` in which a trial has no value."""
    found = {state for values in arms for state in values.states_without_value}
    return tuple(state for state in LOST_STATES if state in found)


def _levels(study: Study, contrast: Contrast, arms: Mapping[str, ArmValues]) -> tuple[Any, ...]:
    """The levels of `over` that every arm has; none where it doesn't vary.

    For a change: of the study's lowest and highest level. For a slope: of all levels above 0.
    """
    over = contrast.over
    assert over is not None, "every contrast but a difference has `over`"
    if over not in study.factors:
        constant(study, over)
        return ()
    all_levels = column(study.trials, over)
    if not pd.api.types.is_numeric_dtype(all_levels):
        return ()
    shared: set[Any] = set.intersection(*(set(values.rows[over]) for values in arms.values()))
    if contrast.kind == "change":
        return tuple(sorted(shared & set(all_levels.agg(["min", "max"]))))
    return tuple(sorted(level for level in shared if level > 0))


def slopes(rows: pd.DataFrame, over: str, levels: Sequence[float], *, per_doubling: bool = True) -> pd.Series:
    """Each seed's least-squares slope of the value per doubling or unit of `over`; nan where a seed lacks a level."""
    table = rows.pivot(index="seed", columns=over, values="value").reindex(columns=list(levels))
    centered = _centered(levels, per_doubling=per_doubling)
    values = table.to_numpy()
    values = values - values[:, :1]  # equal values then have a slope of exactly 0, and not of rounding
    return pd.Series(values @ centered / (centered @ centered), index=table.index)


def _centered(levels: Sequence[float], *, per_doubling: bool) -> np.ndarray:
    """The levels, or their logarithms to base 2, less their mean."""
    x = np.asarray(levels, dtype=float)
    x = np.log2(x) if per_doubling else x
    return x - x.mean()


def _averaged(arms: Mapping[str, ArmValues], contrast: Contrast) -> dict[str, pd.DataFrame]:
    """The rows of each arm with the mean over the levels of `mean_over`; nan where a seed lacks one that an arm has."""
    every = {arm: values.rows for arm, values in arms.items()}
    if not _averaged_over(arms, contrast):
        return every
    kept = ["seed", *([contrast.over] if contrast.over else [])]
    num_levels, found = _num_levels(arms, contrast), {}
    for arm, rows in every.items():
        means = rows.groupby(kept, observed=True).agg(value=("value", "mean"), num=("value", "count")).reset_index()
        found[arm] = means.assign(value=column(means, "value").where(column(means, "num") == num_levels))
    return found


def _averaged_over(arms: Mapping[str, ArmValues], contrast: Contrast) -> list[str]:
    """The factors of `mean_over` that vary."""
    return [name for name in contrast.mean_over if all(name in values.rows for values in arms.values())]


def _num_levels(arms: Mapping[str, ArmValues], contrast: Contrast) -> int:
    """How many trials of a seed are averaged."""
    names = _averaged_over(arms, contrast)
    return len(pd.concat([values.rows[names] for values in arms.values()]).drop_duplicates()) if names else 1


def _by_seed(rows: pd.DataFrame, contrast: Contrast, levels: Sequence[float]) -> pd.Series:
    """An arm's number for each seed."""
    if contrast.kind == "difference":
        return pd.Series(column(rows, "value").to_numpy(), index=pd.Index(rows["seed"]), name="value").sort_index()
    assert contrast.over is not None, "every contrast but a difference has `over`"
    if contrast.kind == "change":
        lowest, highest = levels
        table = rows.pivot(index="seed", columns=contrast.over, values="value")
        return pd.Series(table[highest] - table[lowest])
    return slopes(rows, contrast.over, levels, per_doubling=contrast.kind != "rate")


def _without_values(contrast: Contrast, cell: Cell, missing: str) -> PairedContrast:
    empty = pd.Series(dtype=float)
    return PairedContrast(
        contrast=contrast,
        cell=cell,
        metric=Metric(label=contrast.metric, direction=None),
        advantage=empty,
        control=empty,
        treatment=empty,
        states={},
        lost_states=(),
        missing=missing,
    )
