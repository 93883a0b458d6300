"""Runs of a table of results: each stands once, and those that make one half of a pair are averaged."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from skiplab.analysis.frames import column
from skiplab.analysis.results.columns import Columns
from skiplab.analysis.text import level_text
from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.printable import printable

_MOST_NAMED = 5


def check_runs(runs: pd.DataFrame, frame: pd.DataFrame, columns: Columns, identity: Sequence[str]) -> None:
    """Check that no two rows are the same run.

    Args:
        runs: the runs, with the index of the frame.
        frame: the table as it was given, to name columns in which two such rows differ.
        columns: the columns that are used.
        identity: what tells runs apart.

    Raises:
        SkiplabError: two rows agree in all of it.
    """
    if columns.pair is None or (columns.pair_by and not columns.seed):
        return  # rows are runs
    twice = runs.loc[runs.duplicated(list(identity), keep=False), list(identity)]
    if twice.empty:
        return
    same = (twice == twice.iloc[0]).all(axis="columns")
    rows = frame.loc[twice.index[same]]
    used = [name for role, name in columns.named if role != "status"]
    where = ", ".join(f"{name} {level_text(column(rows, name).iloc[0])}" for name in used)
    differing = [name for name in frame.columns if name not in used and column(rows, name).astype(str).nunique() > 1]
    others = f"; {len(twice)} rows are such" if len(twice) > len(rows) else ""
    shown = ", ".join(str(position + 1) for position in rows.index[:_MOST_NAMED])
    remedy = "remove one of them"
    if differing:
        apart = printable(" or ".join(differing[:_MOST_NAMED]))
        remedy = f"if {apart} tells runs apart, name it as a factor (--by) or as what makes pairs (--pair-by)"
    raise SkiplabError(f"rows {shown} are the same run, {printable(where)}{others}; valid: one row a run; {remedy}")


def in_all_arms(runs: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """The runs whose seed each arm of their cell and pair has, or all of a pair whose arms share no seed.

    Means over other seeds would differ by the seeds, too.

    Args:
        runs: with the pair in the column seed, and the seed in the column run.
        factors: the arm first.
    """
    arm, *others = factors
    pair = [*others, "seed"]
    in_pair = runs.groupby(pair, observed=True, dropna=False)
    num_arms = np.asarray(runs.groupby([*pair, "run"], observed=True, dropna=False)[arm].transform("nunique"))
    shared = num_arms == np.asarray(in_pair[arm].transform("nunique"))
    group = np.asarray(in_pair.ngroup())
    any_shared = np.bincount(group, weights=shared)[group] > 0
    return runs.loc[shared | ~any_shared]


def pair_means(runs: pd.DataFrame, factors: Sequence[str], metrics: Mapping[str, Metric]) -> pd.DataFrame:
    """One run for each arm, cell and value of the pair: means of the metrics, geometric ones of a log metric.

    It has no number where one of its runs has none, and is done if all of them are.
    """
    group = np.asarray(runs.groupby([*factors, "seed"], observed=True, sort=False).ngroup())
    size = np.bincount(group)
    first = ~pd.Series(group).duplicated().to_numpy()  # in the order of the groups
    found = runs.loc[first].copy()
    for name, metric in metrics.items():
        values = column(runs, name).to_numpy()
        if metric.scale == "log":
            values = np.log(np.where(values > 0, values, np.nan))
        means = np.bincount(group, weights=values) / size
        found[name] = np.exp(means) if metric.scale == "log" else means
    undone = np.asarray(runs["status"] != "done")
    status = dict(zip(group[undone][::-1], column(runs, "status").to_numpy()[undone][::-1], strict=True))
    found["status"] = [status.get(place, "done") for place in range(len(size))]
    return found
