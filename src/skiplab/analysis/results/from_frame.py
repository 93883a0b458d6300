"""A study from a data frame of someone's own results, with a row for each run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from skiplab.analysis.results.columns import Columns, Direction, check_columns, declared
from skiplab.analysis.results.converted import levels, numbers, seeds, statuses
from skiplab.analysis.results.names import factor_names, metric_names
from skiplab.analysis.results.own_series import NO_SERIES, OwnSeries, read_own_series
from skiplab.analysis.results.pairs import check_runs, in_all_arms, pair_means
from skiplab.analysis.results.results_study import ResultsStudy
from skiplab.analysis.study.study import Study
from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.printable import printable
from skiplab.records.read_records import Problem
from skiplab.records.statuses import STATUSES

_MOST_ARMS, _MOST_LEVELS, _MOST_CELLS = 200, 500, 2000
_UNKNOWN = ("step", "diverged_step", "wall_seconds")
_COSTS = ("num_parameters", "flops_per_sample", "activation_bytes_per_sample", "num_layers", "num_joins")
_NO_NUMBER = "the table has no finite number"


def from_frame(
    frame: pd.DataFrame,
    *,
    metrics: Mapping[str, Direction | Metric | None],
    arm: str = "arm",
    seed: str | None = "seed",
    factors: Sequence[str] = (),
    pair_by: str | None = None,
    status: str | None = None,
    history: pd.DataFrame | None = None,
    layers: pd.DataFrame | None = None,
    name: str = "results",
    folder: str | Path | None = None,
) -> Study:
    """A study of your own results, which tables, verdicts, figures and the report take like one that skiplab trained.

    The frame has a row for each run, and columns of any name. A run whose metric is missing or infinite has ended
    without a number: no verdict rests on the others alone. Remove its row if it was not measured.

    Args:
        frame: the results.
        metrics: the columns of numbers, each with 'lower' or 'higher' for what is better, None for neither, or a
            `skiplab.metrics.Metric` that also says its scale.
        arm: the column of what is compared.
        seed: the column that tells the runs of an arm apart. Runs of two arms with the same seed are a pair. Arms that
            share no seed are compared as unpaired, by Welch's test; None: each row is a run of its own.
        factors: columns of what else varies; arms are compared at each combination of their levels.
        pair_by: a column that makes the pairs instead, such as the fold of a cross-validation. Runs of an arm with the
            same value are one: their mean counts.
        status: a column that says how the run ended: done, failed, running, ... ; None: all are done.
        history: a row for each value during training: the columns that tell runs apart, step, metric, value.
        layers: a row for each reading of a layer: the columns that tell runs apart, path, quantity, value, and step if
            there are several.
        name: the study's name in titles.
        folder: where its report and tables are written; by default the folder NAME-skiplab.

    Raises:
        SkiplabError: the frame lacks a column, or holds what a comparison can't use.
    """
    if not isinstance(frame, pd.DataFrame):
        raise SkiplabError(
            f"the results are a {type(frame).__name__}; valid: a pandas.DataFrame with a row for each run"
        )
    columns = Columns(arm, seed, tuple(factors), pair_by, status)
    found = declared(metrics)
    frame = _plain(frame, columns)
    check_columns(frame, columns, list(found))
    if frame.empty:
        raise SkiplabError("the table has no rows; valid: a row for each run")
    named_factors = factor_names([arm, *columns.factors])
    named_metrics = metric_names(list(found), named_factors.values())
    runs = pd.DataFrame({"status": statuses(frame, status)})
    for column, own in named_factors.items():
        is_arm = column == arm
        role, most = ("arm", _MOST_ARMS) if is_arm else ("factor", _MOST_LEVELS)
        runs[own] = levels(frame, column, role, most)
    for column, own in named_metrics.items():
        runs[own] = numbers(frame, column)
    _check_numbers(runs, named_metrics)
    in_study = {own: found[column] for column, own in named_metrics.items()}
    identity = list(named_factors.values())
    pair = columns.pair
    runs["seed"] = np.arange(1, len(frame) + 1) if pair is None else seeds(frame, pair, "pair" if pair_by else "seed")
    if pair_by and seed:
        runs["run"] = seeds(frame, seed, "seed")
    check_runs(runs, frame, columns, [*identity, "seed", *(["run"] if pair_by and seed else [])])
    problems = []
    if pair_by and seed:
        num_runs, runs = len(runs), in_all_arms(runs, identity)
        if left_out := num_runs - len(runs):
            reason = f"not every arm has their {seed} at their {pair_by}, and means are over the same runs"
            problems.append(Problem(f"{left_out} runs", printable(reason)))
    if pair_by:
        runs = pair_means(runs, identity, in_study)
    num_cells = runs.groupby(identity[1:], observed=True).ngroups if factors else 1
    if num_cells > _MOST_CELLS:
        raise SkiplabError(
            f"the factors {printable(', '.join(columns.factors))} have {num_cells} combinations of levels; valid: up "
            f"to {_MOST_CELLS}; name fewer factors"
        )
    runs.insert(0, "key", "row " + pd.Series(runs.index + 1, index=runs.index).astype(str))
    series = NO_SERIES
    if history is not None or layers is not None:
        series = read_own_series(runs, columns, named_factors, history, layers)
    return _study(runs.reset_index(drop=True), identity, in_study, series, problems, name, folder)


def _plain(frame: pd.DataFrame, columns: Columns) -> pd.DataFrame:
    """The frame with names that are text, rows from 0, and columns for the parts of the index that are asked for."""
    asked = {name for _, name in columns.named}
    if any(name in asked and name not in frame.columns for name in frame.index.names):
        frame = frame.reset_index()
    return frame.set_axis([str(name) for name in frame.columns], axis="columns").reset_index(drop=True)


def _check_numbers(runs: pd.DataFrame, metrics: Mapping[str, str]) -> None:
    for column, own in metrics.items():
        if not np.isfinite(runs.loc[runs["status"] == "done", own].to_numpy()).any():
            raise SkiplabError(
                f"the column {printable(column)!r} has no finite number in any run that is done; valid for a metric: "
                "numbers"
            )


def _study(
    runs: pd.DataFrame,
    factors: Sequence[str],
    metrics: Mapping[str, Metric],
    series: OwnSeries,
    problems: Sequence[Problem],
    name: str,
    folder: str | Path | None,
) -> Study:
    arm, *others = factors
    varying = [each for each in others if len(runs[each].drop_duplicates()) > 1]
    done = np.asarray(runs["status"] == "done")
    missing: dict[str, dict[str, str]] = {}
    for metric in metrics:
        for key in runs.loc[done & ~np.isfinite(runs[metric].to_numpy()), "key"]:
            missing.setdefault(key, {})[metric] = _NO_NUMBER
    trials = runs[["key", "status", arm, *varying, "seed", *metrics]].assign(
        status=pd.Categorical(runs["status"], categories=STATUSES),
        error=pd.Series("", index=runs.index, dtype="str"),
        **dict.fromkeys((*_UNKNOWN, *_COSTS), np.nan),
    )
    return ResultsStudy(
        name=name,
        runs_dir=Path(),
        folder=Path(f"{name}-skiplab") if folder is None else Path(folder),
        listed_in=(),
        trials=trials,
        missing=missing,
        factors=(arm, *varying),
        constants={each: runs[each].iloc[0] for each in others if each not in varying},
        metrics=metrics,
        charts=series.charts,
        measured_by=series.measured_by,
        first_starts={},
        records={},
        tuned=None,
        problems=tuple(problems),
        files={},
        arm_column=arm,
        series=series.frames,
    )
