"""A table of results from the runs of a tracker, and all that is missing or doubtful in it."""

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from skiplab.analysis.text import level_text
from skiplab.analysis.trackers.foreign_run import ForeignRun
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.read_records import Problem

RUN, STATUS = "run", "status"
_CONFIG = "config."
_MOST_NAMED = 12  # names in a message
_MOST_EARLY = 5  # runs that ended early, each in a line


class Wanted(NamedTuple):
    """What the columns of the table are made from; names such as `config.model`, `path.0`, `name`."""

    arm: str
    seed: str
    by: tuple[str, ...]
    metrics: tuple[str, ...]

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells runs apart."""
        return (self.arm, *self.by, self.seed)


class Imported(NamedTuple):
    """A table of results, the values of each step, and a line on all that is missing or doubtful.

    columns: the column of each name that was wanted.
    """

    table: pd.DataFrame
    history: pd.DataFrame
    doubts: list[str]
    columns: dict[str, str]


def as_table(runs: Sequence[ForeignRun], problems: Sequence[Problem], wanted: Wanted) -> Imported:
    """The table of these runs: run, arm, factors, seed, metrics, status.

    Its rows are sorted by arm, factors and seed, whatever order the tracker gives: names of runs are random there, and
    a comparison without a control takes the first arm.

    A run without an arm, a factor or a seed is left out; and one that didn't end, where another of the same arm, cell
    and seed did. One without the metric stays, so that no comparison forgets it.

    Raises:
        SkiplabError: no run has what is wanted.
    """
    doubts = [f"not read: {problem.where}: {problem.reason}" for problem in problems]
    for name in wanted.identity:
        _check_any(name, [run.said for run in runs], "")
    for name in wanted.metrics:
        _check_any(name, [run.metrics for run in runs], " as a metric")
    kept = []
    for run in runs:
        lacking = [name for name in wanted.identity if run.said.get(name) is None]
        if lacking:
            doubts.append(f"left out: {run.name} has no {', '.join(lacking)}")
        else:
            kept.append(run)
    kept = _without_repeated(kept, wanted, doubts)
    kept.sort(key=lambda run: [_place(run.said[name]) for name in wanted.identity])
    doubts += _unfinished(kept, wanted)
    columns = _columns(wanted)
    told_apart = {columns[name]: [run.said[name] for run in kept] for name in wanted.identity}
    values = {columns[name]: [run.metrics.get(name) for run in kept] for name in wanted.metrics}
    table = pd.DataFrame(
        {RUN: [run.name for run in kept], **told_apart, **values, STATUS: [run.status for run in kept]}
    )
    history = pd.DataFrame(
        [[*(run.said[name] for name in wanted.identity), *value] for run in kept for value in run.history],
        columns=[*told_apart, "step", "metric", "value"],
    )
    return Imported(table, history, doubts, columns)


def _place(value: Any) -> tuple[float, str]:
    """Where a level stands among others: numbers by size, also those in texts, and other texts behind them."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.inf, level_text(value)
    return (math.inf if math.isnan(number) else number), level_text(value)


def _check_any(name: str, found: Sequence[Any], what: str) -> None:
    """Check that any run has a name."""
    if any(each.get(name) is not None for each in found):
        return
    names = list(dict.fromkeys(own for each in found for own in each))
    near = difflib.get_close_matches(name, names, n=1) or [own for own in names if own == f"{_CONFIG}{name}"]
    hint = f"; did you mean {printable(near[0])!r}?" if near else ""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    raise SkiplabError(
        f"no run has {printable(name)!r}{what}; they have "
        f"{printable(', '.join(names[:_MOST_NAMED])) or 'nothing'}{more}{hint}"
    )


def _without_repeated(runs: Sequence[ForeignRun], wanted: Wanted, doubts: list[str]) -> list[ForeignRun]:
    """The runs without those that didn't end where another of the same arm, cell and seed did."""
    groups: dict[tuple[str, ...], list[ForeignRun]] = {}
    for run in runs:
        groups.setdefault(tuple(level_text(run.said[name]) for name in wanted.identity), []).append(run)
    left_out = set()
    for identity, own in groups.items():
        done = [run for run in own if run.status == "done"]
        what = ", ".join(f"{name} {text}" for name, text in zip(wanted.identity, identity, strict=True))
        if len(own) > 1 and len(done) == 1:
            left_out |= {id(run) for run in own if run is not done[0]}
            others = ", ".join(f"{run.name} ({run.status})" for run in own if run is not done[0])
            doubts.append(f"left out: {others}, since {done[0].name} is done with the same {what}")
        elif len(own) > 1:
            names = ", ".join(run.name for run in own)
            doubts.append(f"the same run {len(own)} times, {what}: {names}; remove all but one from the table")
    return [run for run in runs if id(run) not in left_out]


def _unfinished(runs: Sequence[ForeignRun], wanted: Wanted) -> Iterable[str]:
    """A line for each run that didn't end, lacks a metric, or ended before the others."""
    last = max((run.last_step for run in runs if run.status == "done"), default=-1)
    early = [run for run in runs if run.status == "done" and 0 <= run.last_step < last]
    for run in runs:
        reasons = {"done": "", "running": "running, or killed before its end"}
        if reason := reasons.get(run.status, run.status):
            yield f"doubtful: {run.name} is {reason}"
        if run.status == "done" and (lacking := [name for name in wanted.metrics if name not in run.metrics]):
            yield f"doubtful: {run.name} has no {', '.join(lacking)}"
    for run in early[:_MOST_EARLY]:
        yield f"doubtful: {run.name} ended at step {run.last_step}, others at {last}"
    if len(early) > _MOST_EARLY:
        yield f"doubtful: {len(early) - _MOST_EARLY} more runs ended before step {last}"


def _columns(wanted: Wanted) -> dict[str, str]:
    """The column of each name: without `config.`, where that leaves all different."""
    names = [*wanted.identity, *wanted.metrics]
    short = [name.removeprefix(_CONFIG) for name in wanted.identity]
    all_names = [RUN, STATUS, *short, *wanted.metrics]
    unique = len(set(all_names)) == len(all_names)
    return dict(zip(names, [*(short if unique else wanted.identity), *wanted.metrics], strict=True))
