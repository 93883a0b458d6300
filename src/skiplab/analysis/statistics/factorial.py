"""Main effects and interactions of a factorial, a number a seed: what a factor does on average over all the others.

A main effect hides what differs between cells, so none of these is a verdict; an interaction says by how much it does.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from skiplab.analysis.claims.compare import measured
from skiplab.analysis.statistics.statistics import holm, p_above, p_below, paired_interval
from skiplab.analysis.study.arms import cell_factors, chosen_control, chosen_factor
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import cell_text, level_text, unknown_name
from skiplab.errors import SkiplabError
from skiplab.printable import printable

_MOST_FACTORS = 3  # in one interaction: few can read more


class _Step(NamedTuple):
    """One contrast of a factor's levels: what it is called, and the weight of each level; they sum to 0."""

    words: str
    weights: np.ndarray


def factorial_effects(study: Study, metric: str, factor: str | None = None, control: str | None = None) -> pd.DataFrame:
    """A row for each main effect and each interaction of up to three of the factors that vary.

    With y the metric on its scale, the effect of factors F, G is, for each seed,

        sum_{f, g} w_F(f) w_G(g) mean over all other factors of y(f, g, ...)

    where w takes a level against the control (of factors other than the one under test, the first), or for numbers
    above 0 is the least-squares slope per doubling. So the effect of two factors is by how much the effect of one
    changes with a step of the other (a difference of differences, not half of it).

    effect, low, high: mean over seeds and 95% t interval of the seeds' numbers; ratios for a log metric.
    p, p_holm: two-sided, and adjusted over the rows.  n: seeds that have every cell; others are left out.

    Raises:
        SkiplabError: where the metric is unknown, a cell has no trials, or no seed has all cells.
    """
    if metric not in study.metrics:
        raise SkiplabError(unknown_name("metric", metric, list(study.metrics)))
    factor = chosen_factor(study, factor)
    names = ["arm", *cell_factors(study, factor)]
    trials = measured(study, factor, metric)
    levels = {name: _levels(trials[name]) for name in names}
    control = chosen_control(levels["arm"], control)
    levels["arm"] = [control, *(arm for arm in levels["arm"] if arm != control)]
    varying = {name: found for name, found in levels.items() if len(found) > 1}
    if not varying:
        raise SkiplabError(
            f"nothing but the seed varies in {printable(study.name)}: effects need a factor with two levels; valid: a "
            "study of a sweep, such as connection=plain,identity"
        )
    values = _full_seeds(trials, varying)
    steps = {name: _steps(name, found, factor) for name, found in varying.items()}
    rows = []
    for size in range(1, min(_MOST_FACTORS, len(varying)) + 1):
        for chosen in itertools.combinations(varying, size):
            for combination in itertools.product(*(steps[name] for name in chosen)):
                rows.append(_row(values, varying, dict(zip(chosen, combination, strict=True)), study, metric))
    frame = pd.DataFrame(rows)
    frame["p_holm"] = holm(list(frame["p"].fillna(1.0))) if rows else []
    return frame


def _levels(values: pd.Series) -> list:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [level for level in values.cat.categories if (values == level).any()]
    return sorted(values.dropna().unique())


def _full_seeds(trials: pd.DataFrame, levels: Mapping[str, Sequence]) -> np.ndarray:
    """The values of the seeds that have all cells: seeds first, then an axis a factor."""
    grid = pd.MultiIndex.from_product(levels.values(), names=list(levels))
    table = trials.pivot_table(index="seed", columns=list(levels), values="value", observed=True, aggfunc="first")
    if len(levels) == 1:
        table.columns = pd.MultiIndex.from_arrays([table.columns], names=list(levels))
    if lacking := [entry for entry in grid if entry not in table.columns]:
        first = cell_text(dict(zip(levels, lacking[0], strict=True)))
        raise SkiplabError(
            f"{len(lacking)} of {len(grid)} cells have no value, the first is {printable(first)}: main effects need "
            "every combination of the factors; valid: a study of a full grid, or a table of fewer factors"
        )
    full = table.reindex(columns=grid).dropna()
    if full.empty:
        raise SkiplabError("no seed has a value in every cell: main effects need one; train what is missing")
    return full.to_numpy().reshape(len(full), *(len(found) for found in levels.values()))


def _steps(name: str, levels: Sequence, factor: str) -> list[_Step]:
    shown = factor if name == "arm" else name
    numeric = all(isinstance(level, int | float | np.number) for level in levels)
    if numeric and min(levels) > 0 and name != "arm":
        doublings = np.log2(np.asarray(levels, dtype=float))
        centred = doublings - doublings.mean()
        return [_Step(f"{shown}, per doubling", centred / (centred @ centred))]
    unit = np.eye(len(levels))
    return [
        _Step(f"{shown} {level_text(level)} over {level_text(levels[0])}", unit[position] - unit[0])
        for position, level in enumerate(levels)
        if position
    ]


def _row(
    values: np.ndarray, levels: Mapping[str, Sequence], steps: Mapping[str, _Step], study: Study, metric: str
) -> dict:
    per_seed = values
    for name, found in reversed(levels.items()):
        weights = steps[name].weights if name in steps else np.full(len(found), 1 / len(found))
        per_seed = per_seed @ weights
    interval = paired_interval(per_seed)
    p = min(1.0, 2 * min(p_above(per_seed, 0.0), p_below(per_seed, 0.0))) if interval.n > 1 else math.nan
    log = study.metrics[metric].scale == "log"
    unscaled = np.exp if log else float
    return {
        "metric": metric,
        "effect_of": " × ".join(step.words for step in steps.values()),
        "num_factors": len(steps),
        "effect": float(unscaled(interval.mean)),
        "low": float(unscaled(interval.low)),
        "high": float(unscaled(interval.high)),
        "effect_kind": "ratio" if log else "difference",
        "n": interval.n,
        "p": p,
    }
