"""The results of tuning trials: the best settings of each arm in each cell, and a table of all trials."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.records.key import OBSERVERS, factors
from skiplab.records.spreadsheet import csv_text
from skiplab.records.statuses import FINISHED
from skiplab.records.tuned import RATE, Combination
from skiplab.sweeps.job import Job
from skiplab.tuning.rates import best_of


class TuningTrial(NamedTuple):
    """The result of one tuning trial: its levels of the factors, the tuned settings, and the value of the metric."""

    key: str
    levels: Mapping[str, Any]
    settings: Mapping[str, Any]
    seed: int
    value: float
    status: str

    @classmethod
    def read(cls, job: Job, names: Sequence[str], settings: Sequence[str], name: str, metric: Metric) -> "TuningTrial":
        """Read the record of a trial.

        Args:
            job: the trial.
            names: the factors.
            settings: the tuned settings.
            name: the metric.
            metric: its declaration.

        Raises:
            SkiplabError: the trial isn't finished.
        """
        content = job.record.read_if_any()
        status = "pending" if content is None else content["status"]
        if content is None or status not in FINISHED:
            raise SkiplabError(
                f"tuning trial {job.record.key} ({' '.join(job.overrides)}) is {status}; run the command again, with "
                "run.retry_failed=true if the trial failed"
            )
        value = content["summary"].get(name) if status == "done" else None
        value = metric.if_diverged if value is None else value
        assert isinstance(value, int | float)  # `tune` takes only metrics with a number for diverged trials
        own = factors(job.config)
        return cls(
            key=job.record.key,
            levels=levels_of(job, names),
            settings={setting: own[setting] for setting in settings},
            seed=job.config.seed,
            value=float(value),
            status=status,
        )


def levels_of(job: Job, names: Sequence[str]) -> dict[str, Any]:
    """The levels of a trial's factors: the options of axes and the values of settings.

    Raises:
        SkiplabError: a name is neither.
    """
    own = {**factors(job.config), **job.choices}
    for name in names:
        if name not in own or name in OBSERVERS or name.split(".")[0] in OBSERVERS:
            raise SkiplabError(
                f"{name} can't be a factor, because it doesn't affect training; sweep other axes or settings"
            )
    return {name: own[name] for name in names}


def combinations(trials: Sequence[TuningTrial], rates: Sequence[float], seeds: Sequence[int]) -> list[Combination]:
    """The best settings of each arm in each cell, in the order of the sweep."""
    grouped: dict[tuple[Any, ...], list[TuningTrial]] = {}
    for trial in trials:
        grouped.setdefault(tuple(trial.levels.values()), []).append(trial)
    found = []
    for own in grouped.values():
        curves: dict[tuple[Any, ...], dict[float, dict[int, float]]] = {}
        for trial in own:
            others = tuple((name, value) for name, value in trial.settings.items() if name != RATE)
            curves.setdefault(others, {}).setdefault(trial.settings[RATE], {})[trial.seed] = trial.value
        by_setting = {
            others: {rate: [curve[rate][seed] for seed in seeds] for rate in rates} for others, curve in curves.items()
        }
        bests = {others: best_of(curve) for others, curve in by_setting.items()}
        others = max(bests, key=lambda each: bests[each].value)  # the first of equals
        best = bests[others]
        diverged = {
            trial.settings[RATE]
            for trial in own
            if trial.status == "diverged" and all(trial.settings[name] == value for name, value in others)
        }
        found.append(
            Combination(
                factors=dict(own[0].levels),
                best={RATE: best.rate, **dict(others)},
                value=best.value,
                edge=best.edge,
                window=best.window,
                curve=by_setting[others],
                diverged=tuple(sorted(diverged)),
            )
        )
    return found


def shared(jobs: Sequence[Job], tuned_for: Sequence[str]) -> dict[str, Any]:
    """The options and settings that all trials have in common."""
    first, *rest = (
        {**factors(job.config), **{axis: option for axis, option in job.choices.items() if axis not in OBSERVERS}}
        for job in jobs
    )
    own = {name: value for name, value in first.items() if name not in (*tuned_for, "seed")}
    return {name: value for name, value in own.items() if all(other.get(name, ()) == value for other in rest)}


def tidy(trials: Sequence[TuningTrial], metric_name: str) -> str:
    """A CSV table with one row per trial, in the order of the sweep."""
    names = [*trials[0].levels, *trials[0].settings, "seed", metric_name, "status", "key"]
    rows = []
    for trial in trials:
        levels = ["null" if value is None else value for value in (*trial.levels.values(), *trial.settings.values())]
        rows.append([*levels, trial.seed, trial.value, trial.status, trial.key])
    return csv_text(pd.DataFrame(rows, columns=names, dtype=object))
