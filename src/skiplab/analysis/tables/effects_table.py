"""Main effects and interactions of a factorial design: what a factor does on average over all the others.

A main effect hides how cells differ, so it is no verdict. An interaction says by how much they do.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from skiplab.analysis.frames import column, frame_rows
from skiplab.analysis.statistics.intervals import paired_interval, sum_interval
from skiplab.analysis.statistics.significance import holm, p_above, p_below, p_sum_above
from skiplab.analysis.study.arms import cell_factors, control_arm, factor_under_test
from skiplab.analysis.study.metric_values import metric_values
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import cell_text, level_text, number, size_interval_text, size_text, unknown_name
from skiplab.errors import SkiplabError
from skiplab.printable import printable

EFFECT_HEADINGS = ("effect of", "size", "95%", "n", "p, Holm")
UNPAIRED_NOTE = "Arms that share no seed are compared as unpaired (Welch and Satterthwaite)."
_MOST_FACTORS = 3  # in one interaction: few can read more


def effects_table(study: Study, metric: str, factor: str | None = None, control: str | None = None) -> pd.DataFrame:
    """A row for each main effect and each interaction of up to three of the factors that vary.

    With y the metric on its scale, the effect of factors F, G is for each seed

        sum_{f, g} w_F(f) w_G(g) mean over all other factors of y(f, g, ...)

    The weights w compare a level with the control (for factors other than the one under test, with the first level).
    For levels that are numbers above 0, they give the least-squares slope per doubling. So the effect of two factors is
    the change in the effect of one with a step of the other: a difference of differences, not half of it.

    effect, low, high: mean over seeds and 95% t interval of the seeds' numbers; ratios for a log metric.
    p, p_holm: two-sided, and adjusted over the rows.
    n: seeds that have every cell; others are left out. Where two arms share no seed, each arm is a sample of its own,
        its seeds need its own cells only, and n is that of the smallest arm.
    paired: whether the arms share seeds.

    Raises:
        SkiplabError: where the metric is unknown, a cell has no trials, or no seed has all cells.
    """
    if metric not in study.metrics:
        raise SkiplabError(unknown_name("metric", metric, list(study.metrics)))
    factor = factor_under_test(study, factor)
    names = ["arm", *cell_factors(study, factor)]
    trials = metric_values(study, factor, metric)
    levels = {name: _levels(column(trials, name)) for name in names}
    control = control_arm(levels["arm"], control)
    levels["arm"] = [control, *(arm for arm in levels["arm"] if arm != control)]
    varying = {name: found for name, found in levels.items() if len(found) > 1}
    if not varying:
        raise SkiplabError(
            f"nothing but the seed varies in {printable(study.name)}; valid for effects: a study with a factor of two "
            "or more levels, such as connection=plain,identity"
        )
    samples = _samples(trials, varying)
    steps = {name: _steps(name, found, factor) for name, found in varying.items()}
    is_log = study.metrics[metric].scale == "log"
    rows = []
    for size in range(1, min(_MOST_FACTORS, len(varying)) + 1):
        for factors in itertools.combinations(varying, size):
            for combination in itertools.product(*(steps[name] for name in factors)):
                chosen = dict(zip(factors, combination, strict=True))
                effect = _effect([found for sample in samples for found in _per_seed(sample, chosen)], is_log)
                label = " × ".join(step.label for step in combination)
                rows.append({"metric": metric, "effect_of": label, "num_factors": size, **effect})
    frame = pd.DataFrame(rows).assign(paired=len(samples) == 1)
    frame["p_holm"] = holm(list(frame["p"].fillna(1.0)))
    return frame


def effect_rows(table: pd.DataFrame) -> list[list[str]]:
    """The effects on one metric as text."""
    return [
        [
            row["effect_of"],
            size_text(row["effect"], row["low"], row["high"], row["effect_kind"]),
            size_interval_text(row["low"], row["high"], row["effect_kind"]),
            str(row["n"]),
            number(row["p_holm"]),
        ]
        for row in frame_rows(table)
    ]


class _Step(NamedTuple):
    """One contrast of a factor's levels: its label, and the weight of each level; the weights sum to 0."""

    label: str
    weights: np.ndarray


def _levels(values: pd.Series) -> list[Any]:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [level for level in values.cat.categories if (values == level).any()]
    return sorted(values.dropna().unique())


class _Sample(NamedTuple):
    """Seeds that are independent of those of other samples.

    levels: those of each factor. values: an axis for the seeds, then one for each factor.
    arm: of a sample of one arm, its place among the arms; None where seeds are those of all arms.
    """

    levels: Mapping[str, Sequence[Any]]
    values: np.ndarray
    arm: int | None = None
    num_arms: int = 1


def _samples(trials: pd.DataFrame, levels: Mapping[str, Sequence[Any]]) -> list[_Sample]:
    """One sample of all arms if each two of them share seeds, else one of each arm."""
    arms = levels.get("arm", ())
    rows = [trials.loc[trials["arm"] == arm] for arm in arms]
    seeds = [set(own["seed"]) for own in rows]
    if not any(one.isdisjoint(other) for one, other in itertools.combinations(seeds, 2)):
        return [_Sample(levels, _complete_seeds(trials, levels))]
    own = {name: found for name, found in levels.items() if name != "arm"}
    return [_Sample(own, _complete_seeds(each, own), arm, len(arms)) for arm, each in enumerate(rows)]


def _complete_seeds(trials: pd.DataFrame, levels: Mapping[str, Sequence[Any]]) -> np.ndarray:
    """The values of the seeds that have all cells: an axis for the seeds, then one for each factor."""
    if not levels:
        return column(trials, "value").dropna().to_numpy()
    grid = pd.MultiIndex.from_product(list(levels.values()), names=list(levels))
    table = trials.pivot_table(index="seed", columns=list(levels), values="value", observed=True, aggfunc="first")
    if len(levels) == 1:
        table.columns = pd.MultiIndex.from_arrays([table.columns], names=list(levels))
    lacking = [cast("tuple[Any, ...]", entry) for entry in grid if entry not in table.columns]
    if lacking:
        first = cell_text(dict(zip(levels, lacking[0], strict=True)))
        raise SkiplabError(
            f"{len(lacking)} of {len(grid)} cells have no value, such as {printable(first)}; valid for effects: a "
            "study of a full grid; train what is missing"
        )
    complete = table.reindex(columns=grid).dropna()
    if complete.empty:
        raise SkiplabError("no seed has a value in every cell; valid for effects: at least one; train what is missing")
    return complete.to_numpy().reshape(len(complete), *(len(found) for found in levels.values()))


def _steps(name: str, levels: Sequence[Any], factor: str) -> list[_Step]:
    shown = factor if name == "arm" else name
    numeric = all(isinstance(level, int | float | np.number) for level in levels)
    if numeric and min(levels) > 0 and name != "arm":
        doublings = np.log2(np.asarray(levels, dtype=float))
        centered = doublings - doublings.mean()
        return [_Step(f"{shown}, per doubling", centered / (centered @ centered))]
    unit = np.eye(len(levels))
    return [
        _Step(f"{shown} {level_text(level)} over {level_text(levels[0])}", unit[position] - unit[0])
        for position, level in enumerate(levels)
        if position
    ]


def _per_seed(sample: _Sample, steps: Mapping[str, _Step]) -> Iterator[np.ndarray]:
    """The part of a sample's seeds in an effect, the sum of the samples' means; none if its arm has no part in it."""
    per_seed = sample.values
    for name, found in reversed(list(sample.levels.items())):
        weights = steps[name].weights if name in steps else np.full(len(found), 1 / len(found))
        per_seed = per_seed @ weights
    weight = 1.0
    if sample.arm is not None:
        weight = float(steps["arm"].weights[sample.arm]) if "arm" in steps else 1 / sample.num_arms
    if weight:
        yield weight * per_seed


def _effect(samples: Sequence[np.ndarray], is_log: bool) -> dict[str, Any]:
    """The sum of the means of independent samples; of one, the mean of its seeds."""
    if len(samples) > 1:
        interval, sides = sum_interval(samples), [p_sum_above([sign * v for v in samples], 0.0) for sign in (1, -1)]
    else:
        (per_seed,) = samples
        interval, sides = paired_interval(per_seed), [p_above(per_seed, 0.0), p_below(per_seed, 0.0)]
    p = min(1.0, 2 * min(sides)) if interval.n > 1 else math.nan
    unscaled = np.exp if is_log else float
    return {
        "effect": float(unscaled(interval.mean)),
        "low": float(unscaled(interval.low)),
        "high": float(unscaled(interval.high)),
        "effect_kind": "ratio" if is_log else "difference",
        "n": interval.n,
        "p": p,
    }
