"""The comparison table: each arm against the control, cell by cell, paired by seed."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from rich.console import Console

from skiplab.analysis.claims.cell_verdicts import advantage_interval
from skiplab.analysis.claims.claims import Claims
from skiplab.analysis.claims.compare import Contrast, Paired, compare, measured_of
from skiplab.analysis.claims.failures import FAILED_BELOW, failed_arms, rates_table, split_arms
from skiplab.analysis.statistics.effect_size import hedges_g, probability_of_improvement
from skiplab.analysis.statistics.statistics import correlation, paired_interval, welch_interval
from skiplab.analysis.study.arms import (
    Cell,
    cell_factors,
    cells,
    chosen_control,
    chosen_factor,
    in_cell,
    status_counts,
    with_arms,
)
from skiplab.analysis.study.notes import notes, state_notes
from skiplab.analysis.study.study import Study, read_study
from skiplab.analysis.tables import terminal
from skiplab.analysis.tables.table_files import write_tables
from skiplab.analysis.tables.table_text import print_rates, print_table
from skiplab.analysis.tables.written import write, writing
from skiplab.analysis.text import cell_text, unknown_name
from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.printable import counted
from skiplab.records.spreadsheet import csv_text

DEFAULT_METRICS = (
    "loss_val",
    "skill_train",
    "accuracy_val",
    "excess_loss",
    "frechet_distance",
    "update_ratio_first_block",
    "gradient_first_to_last",
    "refining_fraction",
)
BASELINES = ("loss_zero", "loss_affine")
OBJECTIVES = ("objective", "prediction", "loss_weighting", "noise_schedule")  # axes that decide what a loss means


def comparison_table(
    study: Study,
    *,
    factor: str | None = None,
    control: str | None = None,
    metrics: Sequence[str] | None = None,
) -> pd.DataFrame:
    """A row for each metric, cell and arm other than the control.

    control_mean, treatment_mean: over all seeds with a value, of the other arm or not; geometric for a log metric.
    effect, low, high: treatment minus control with its 95% paired-t interval; for a log metric their ratio,
        as `effect_kind` says. Missing where an arm has failed, or where it would rest on survivors.
    welch_low, welch_high: the same interval without pairing.  correlation: between the arms, over seeds.
    effect_size: Hedges' g of the paired differences.  probability_greater: that a seed of the treatment exceeds one
        of the control.
    loss_zero, loss_affine: what predictors reach that learn nothing, or an affine map.

    With a single arm, a row for each metric and cell: its mean and 95% interval; `control` is ''.

    Args:
        study: what to compare.
        factor: the factor under test, any that varies; or one that doesn't, for a table of one arm. None: the one that
            alone varies, else connection.
        control: the arm compared against; None: plain where there is one, else the first.
        metrics: summary metrics, in order; None: those of DEFAULT_METRICS that the study has.

    Raises:
        SkiplabError: where factor, control or a metric is unknown.
    """
    factor = chosen_factor(study, factor)
    arms = list(with_arms(study, factor)["arm"].cat.categories)
    chosen = chosen_metrics(study, metrics)
    if len(arms) < 2:
        if control is not None and control not in arms:
            raise SkiplabError(unknown_name("control", control, arms))
        rows = [_alone(study, factor, arm, metric, cell) for metric, cell, arm in _each(study, factor, chosen, arms)]
    else:
        control = chosen_control(arms, control)
        treatments = [arm for arm in arms if arm != control]
        rows = [
            _against(study, factor, control, arm, metric, cell)
            for metric, cell, arm in _each(study, factor, chosen, treatments)
        ]
    frame = pd.DataFrame([row for row in rows if row is not None])
    frame.attrs = {"study": study.name, "factor": factor, "cell_factors": cell_factors(study, factor)}
    return frame


def asked_metrics(study: Study, claims: Claims) -> list[str]:
    """Skill and loss, then what the claims ask for, of what was measured.

    Where the claims compare objectives, skill and loss are in units of their own in each arm: claims' metrics alone.
    """
    always = [] if claims.factor.partition(".")[0] in OBJECTIVES else ["skill_train", "loss_val"]
    return [name for name in dict.fromkeys([*always, *claims.metrics]) if name in study.metrics]


def table_command(
    study_name: str,
    runs_dir: Path,
    factor: str | None = None,
    control: str | None = None,
    metrics: Sequence[str] | None = None,
    console: Console | None = None,
) -> None:
    """Print a study's comparison table, write it beside the study, and say what could not be read."""
    console = console or terminal.console()
    study = read_study(study_name, runs_dir)
    factor = chosen_factor(study, factor)
    table = comparison_table(study, factor=factor, control=control, metrics=metrics)
    print_table(table, console)
    rates = rates_table(study, factor)
    print_rates(rates, console)
    terminal.say(console, f"{counted(len(study.trials))}: {status_counts(study)}")
    with writing(study.folder, console):
        terminal.say_written(console, write_tables(table, study.folder))
        terminal.say_written(console, [write(study.folder / "rates.csv", csv_text(rates))])
    terminal.say_problems(console, study.problems)


def _each(study: Study, factor: str, metrics: Sequence[str], arms: Sequence[str]) -> list[tuple[str, Cell, str]]:
    """Every metric in every cell that was measured there: a cell whose trials are done without it has no row."""
    present = [(cell, in_cell(study, study.trials, cell)) for cell in cells(study, factor)]
    return [
        (metric, cell, arm)
        for metric in metrics
        for cell, trials in present
        if trials[metric].notna().any() or (trials["status"] != "done").any() or _was_to_be(study, metric, trials)
        for arm in arms
    ]


def _was_to_be(study: Study, metric: str, trials: pd.DataFrame) -> bool:
    """Whether a metric was measured in any of these trials and gave no finite number."""
    return any(metric in study.missing.get(key, {}) for key in trials["key"])


def _against(study: Study, factor: str, control: str, treatment: str, name: str, cell: Cell) -> dict[str, Any] | None:
    contrast = Contrast(metric=name, kind="difference", factor=factor, control=control, treatment=treatment)
    paired = compare(study, contrast, cell)
    metric = study.metrics[name]
    present = _present(study, factor, cell)
    only_control = set(present.diverged) == {control} and set(with_arms(study, factor)["arm"]) == {control, treatment}
    if treatment not in present.diverged and not only_control:
        return None
    own = {arm: measured_of(study, factor, name, cell, arm)["value"] for arm in (control, treatment)}
    asked = (study, factor, (control, treatment), cell, FAILED_BELOW)
    failed = failed_arms(*asked)
    return {
        **_head(name, metric, cell, control, treatment),
        "n": int(paired.advantage.count()),
        "control_mean": _mean(metric, own[control]),
        "treatment_mean": _mean(metric, own[treatment]),
        **_effect(paired, metric, sized=not failed and not paired.on_survivors),
        "control_diverged": present.diverged.get(control, 0),
        "treatment_diverged": present.diverged.get(treatment, 0),
        "control_failed": control in failed,
        "treatment_failed": treatment in failed,
        **present.baselines,
        "notes": "; ".join(notes(paired, paired_interval(paired.advantage)) + _failure(failed) + split_arms(*asked)),
    }


def _alone(study: Study, factor: str, arm: str, name: str, cell: Cell) -> dict[str, Any]:
    metric = study.metrics[name]
    present = _present(study, factor, cell)
    found = measured_of(study, factor, name, cell, arm)
    values = found["value"]
    interval = paired_interval(values)
    asked = (study, factor, (arm,), cell, FAILED_BELOW)
    failed = failed_arms(*asked)
    return {
        **_head(name, metric, cell, "", arm),
        "n": interval.n,
        "treatment_mean": _mean(metric, values),
        "low": _unscaled(metric, interval.low),
        "high": _unscaled(metric, interval.high),
        "treatment_diverged": present.diverged.get(arm, 0),
        "treatment_failed": arm in failed,
        **present.baselines,
        "notes": "; ".join(
            [*state_notes(arm, Counter(found["state"]), metric), *_failure(failed), *split_arms(*asked)]
        ),
    }


class _Present(NamedTuple):
    """What a row says of a cell's trials beside the metric: how many of each arm diverged, and the baselines."""

    diverged: dict[str, int]
    baselines: dict[str, float]


def _present(study: Study, factor: str, cell: Cell) -> _Present:
    place = ("present", factor, cell_text(cell))
    if place not in study.derived:
        trials = in_cell(study, with_arms(study, factor), cell)
        diverged = (trials["status"] == "diverged").groupby(trials["arm"], observed=True).sum()
        baselines = {name: float(trials[name].mean()) for name in BASELINES if name in study.metrics}
        study.derived[place] = _Present({arm: int(count) for arm, count in diverged.items()}, baselines)
    return study.derived[place]


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


def _effect(paired: Paired, metric: Metric, *, sized: bool) -> dict[str, Any]:
    kind = "ratio" if metric.scale == "log" else "difference"
    arms = (paired.treatment, paired.control)
    interval = advantage_interval(paired)  # direction 'higher': treatment minus control
    welch = welch_interval(*arms)
    numbers = {
        "effect": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "welch_low": welch.low,
        "welch_high": welch.high,
    }
    return {
        "effect_kind": kind,
        **{name: _unscaled(metric, value) if sized else math.nan for name, value in numbers.items()},
        "correlation": correlation(*arms),
        "effect_size": hedges_g(paired.advantage) if sized else math.nan,
        "probability_greater": probability_of_improvement(*arms),
    }


def _failure(failed: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{arm} failed: mean skill below {FAILED_BELOW:g}" for arm in failed)


def _mean(metric: Metric, values: pd.Series) -> float:
    return _unscaled(metric, float(values.mean()))


def _unscaled(metric: Metric, value: float) -> float:
    if metric.scale != "log":
        return value
    return math.inf if value > 700 else math.exp(value)  # nan, of no value at all, stays nan


def chosen_metrics(study: Study, metrics: Sequence[str] | None) -> list[str]:
    """The metrics asked for, else those of DEFAULT_METRICS that the study has, else all.

    Raises:
        SkiplabError: where one is unknown.
    """
    if metrics is None:
        measured = [name for name in study.metrics if name not in BASELINES]
        return [name for name in DEFAULT_METRICS if name in study.metrics] or measured
    for name in metrics:
        if name not in study.metrics:
            raise SkiplabError(unknown_name("metric", name, list(study.metrics)))
    return list(metrics)
