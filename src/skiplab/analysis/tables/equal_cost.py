"""The best level of a numeric factor, such as depth, that each arm can afford at the same cost of training."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from skiplab.analysis.frames import column
from skiplab.analysis.statistics.intervals import Interval, paired_interval
from skiplab.analysis.study.arms import (
    Cell,
    arm_names,
    cell_factors,
    cells,
    control_arm,
    factor_under_test,
    in_cell,
    with_arms,
)
from skiplab.analysis.study.metric_values import metric_values
from skiplab.analysis.study.study import Study
from skiplab.analysis.tables.training_cost import last_falls, losses_at, training_costs
from skiplab.analysis.text import exponential, level_text
from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.printable import printable

COST_UNITS = {"flops": "FLOPs", "seconds": "seconds"}
TRAINING_LOSS = "training loss"  # the metric's name in rows on networks that are stopped at the budget
STILL_FALLING = 0.02  # of the training loss, over the last fifth of the steps
_LOSS = Metric(label="training loss when the budget is spent", direction="lower", scale="log")


def equal_cost_metric(study: Study, metrics: Sequence[str]) -> str:
    """The first of these metrics that is an outcome with a better direction; the first if none is."""
    fit = (name for name in metrics if study.metrics[name].direction and study.metrics[name].role == "outcome")
    return next(fit, metrics[0])


@dataclass(frozen=True, kw_only=True)
class Best:
    """What an arm reaches at a budget.

    level: the level of the best mean over all seeds.
    levels: the levels that are best for all seeds but one, each with the number of such seeds.
    held_out: each seed's value at the level that is best for the others.
    optimistic: the mean at `level`.
    """

    level: Any
    levels: Mapping[Any, int]
    held_out: pd.Series
    optimistic: float


def numeric_factor(study: Study, factor: str, over: str | None) -> str:
    """The factor whose levels are chosen between: the given one, else depth.

    Raises:
        SkiplabError: if it doesn't vary, isn't numeric, or is the factor under test.
    """
    valid = [
        name
        for name in cell_factors(study, factor)
        if pd.api.types.is_numeric_dtype(study.trials[name].dtype) and column(study.trials, name).nunique() > 1
    ]
    name = over or "depth"
    if name not in valid:
        raise SkiplabError(
            f"the best {printable(name)} at equal cost needs a numeric factor that varies beside {printable(factor)}; "
            f"valid in study {printable(study.name)!r}: {printable(', '.join(valid)) or 'none'}; choose with --over"
        )
    return name


def best_at(values: pd.DataFrame, direction: str) -> Best | None:
    """The best level, chosen honestly; None without a seed that has a value at every level that any seed has one at.

    The best of several levels on the same seeds flatters. Each seed is therefore measured at the level whose mean over
    the other seeds is best, so that no seed chooses its own level.

    Args:
        values: a row a seed, a column a level; on the metric's scale.
        direction: 'higher' or 'lower', which values are better.
    """
    values = values.dropna(axis="columns", how="all").dropna()
    if values.empty:
        return None
    sign = 1.0 if direction == "higher" else -1.0
    means = values.mean().to_numpy()
    best = int((sign * means).argmax())
    chosen = {}
    if len(values) > 1:
        chosen = {seed: (sign * values.drop(index=seed).mean()).idxmax() for seed in values.index}
    return Best(
        level=values.columns[best],
        levels=pd.Series(chosen, dtype=object).value_counts().to_dict(),
        held_out=pd.Series({seed: values.loc[seed, level] for seed, level in chosen.items()}, dtype=float),
        optimistic=float(means[best]),
    )


def equal_cost_table(
    study: Study, metric: str, *, factor: str | None = None, control: str | None = None, over: str | None = None
) -> pd.DataFrame:
    """A row for each cell, kind of cost, budget and arm: the arm's best level whose training costs at most the budget.

    The budgets are the costs of training at each level, mean over seeds, of the arm that costs most there. `best`: the
    level of the best mean. mean, low, high: held out, see `best_at`, with the 95% t interval over seeds. optimistic:
    the mean at `best`, over the seeds that chose it. effect, effect_low, effect_high: the arm's held-out values minus
    the control's, paired by seed; of a log metric the ratio. fall: by how much the training loss fell over the last
    fifth of the steps at `best`, a fraction, mean over seeds.

    Rows whose metric is 'training loss' compare the training loss of every level when the budget is spent: those
    whose training costs more are stopped there.

    Raises:
        SkiplabError: if the metric has no direction or a name is unknown.
    """
    factor = factor_under_test(study, factor)
    over = numeric_factor(study, factor, over)
    declared = study.metrics[metric]
    if declared.direction is None:
        raise SkiplabError(
            f"{printable(metric)} says of no value that it is better, so that no {printable(over)} is best; take a "
            "metric with a direction, such as --metric skill_train"
        )
    control = control_arm(arm_names(study, factor), control)
    trials = with_arms(study, factor).join(training_costs(study))
    trials = trials.assign(value=metric_values(study, factor, metric)["value"], fall=last_falls(study))
    rows = []
    for cell in cells(study, factor, within=(over,)):
        present = in_cell(study, trials, cell)
        for kind in COST_UNITS:
            costs = present.pivot_table(index=over, columns="arm", values=kind, observed=True)
            for budget in sorted(set(costs.max(axis=1).dropna())):
                affordable = _affordable(present, costs, over, budget)
                head = {**cell, "metric": metric, "cost": kind, "budget": budget}
                rows += _rows(affordable, declared, over, control, head)
                if kind == "flops":
                    at_budget = present.assign(value=losses_at(study, present, budget), fall=math.nan)
                    rows += _rows(at_budget, _LOSS, over, control, {**head, "metric": TRAINING_LOSS})
    return pd.DataFrame(rows, columns=None if rows else ["metric", "cost", "budget", "arm"])


def _affordable(trials: pd.DataFrame, costs: pd.DataFrame, over: str, budget: float) -> pd.DataFrame:
    """The trials of each arm at the levels whose mean cost is at most the budget."""
    within = costs.le(budget * (1 + 1e-9))
    pairs = zip(trials["arm"], trials[over], strict=True)
    return trials.loc[[bool(within[arm].get(level, False)) if arm in within else False for arm, level in pairs]]


def _rows(trials: pd.DataFrame, metric: Metric, over: str, control: str, head: Cell) -> list[dict[str, Any]]:
    """A row for each arm that can afford a level."""
    found = {}
    for arm, own in trials.groupby("arm", observed=True):
        values = own.pivot_table(index="seed", columns=over, values="value", dropna=False).reindex(
            index=sorted(set(own["seed"])), columns=sorted(set(own[over]))
        )
        best = best_at(values, metric.direction or "higher")
        if best is not None:
            found[str(arm)] = (own, best)
    rows = []
    for arm, (own, best) in found.items():
        interval = paired_interval(best.held_out)
        effect = paired_interval(best.held_out - found[control][1].held_out) if _compared(arm, control, found) else None
        fall = float(own.loc[own[over] == best.level, "fall"].mean())
        rows.append(
            {
                **head,
                "arm": arm,
                "best": best.level,
                "n": interval.n,
                **_numbers(metric, interval, ("mean", "low", "high")),
                "optimistic": exponential(best.optimistic) if metric.scale == "log" else best.optimistic,
                **_numbers(metric, effect, ("effect", "effect_low", "effect_high")),
                "effect_kind": "ratio" if metric.scale == "log" else "difference",
                "fall": fall,
                "notes": "; ".join(_notes(own, best, over, fall)),
            }
        )
    return rows


def _compared(arm: str, control: str, found: Mapping[str, Any]) -> bool:
    return arm != control and control in found


def _numbers(metric: Metric, interval: Interval | None, names: Sequence[str]) -> dict[str, float]:
    values = (interval.mean, interval.low, interval.high) if interval else (math.nan,) * 3
    return {
        name: exponential(value) if metric.scale == "log" else value for name, value in zip(names, values, strict=True)
    }


def _notes(trials: pd.DataFrame, best: Best, over: str, fall: float) -> list[str]:
    notes = []
    if not len(best.held_out):
        notes.append(f"one seed: {over} was chosen on the seed that is shown")
    if len(best.levels) > 1:
        votes = ", ".join(f"{level_text(level)} by {count}" for level, count in sorted(best.levels.items()))
        notes.append(f"seeds disagree on the best {over}: {votes}")
    missing = column(trials, "seed").nunique() - max(len(best.held_out), 1)
    if missing > 0:
        notes.append(f"{missing} seeds lack a value at some {over}")
    if fall > STILL_FALLING:
        notes.append(f"still falling: the loss fell by {100 * fall:.1f}% over the last fifth of the steps")
    return notes
