"""The results of tuning trials: the best settings of each arm in each cell, and a table of all trials."""

from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any, NamedTuple

import pandas as pd

from skiplab.errors import SkiplabError
from skiplab.metrics import Metric
from skiplab.records.spreadsheet import csv_text
from skiplab.records.statuses import FINISHED
from skiplab.records.tuned import RATE, Combination
from skiplab.sweeps.job import Job
from skiplab.tuning.levels import levels
from skiplab.tuning.rates import best_of
from skiplab.tuning.search_space import SearchSpace, names_of


class TuningTrial(NamedTuple):
    """The result of one tuning trial.

    key: of its record.
    levels: its levels of the factors.
    rate: its learning rate.
    settings: the options and settings that were combined with the rates for its combination.
    tried: the same by the name of each choice; settings that change together are one.
    fixed: those that were for other combinations, and the settings that belong to tuned options.
    seed: its seed.
    value: the metric.
    status: of its record.
    """

    key: str
    levels: Mapping[str, Any]
    rate: float
    settings: Mapping[str, Any]
    tried: Mapping[str, Any]
    fixed: Mapping[str, Any]
    seed: int
    value: float
    status: str

    @classmethod
    def read(cls, job: Job, names: Sequence[str], space: SearchSpace, name: str, metric: Metric) -> "TuningTrial":
        """Read the record of a trial.

        Args:
            job: the trial.
            names: the factors.
            space: what was tried besides rates.
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
        own, choices = levels(job), space.choices(job)
        names_tried = names_of(choices)
        return cls(
            key=job.record.key,
            levels={each: own[each] for each in names},
            rate=own[RATE],
            settings={each: own[each] for each in names_tried},
            tried=dict(choice.level(own) for choice in choices),
            fixed={each: own[each] for each in own if space.sets(each) and each not in (RATE, *names_tried)},
            seed=job.config.seed,
            value=float(value),
            status=status,
        )


def combinations(trials: Sequence[TuningTrial], rates: Sequence[float], seeds: Sequence[int]) -> list[Combination]:
    """The best settings of each arm in each cell, in the order of the sweep."""
    grouped: dict[tuple[Any, ...], list[TuningTrial]] = {}
    for trial in trials:
        grouped.setdefault(tuple(trial.levels.values()), []).append(trial)
    return [_combination(own, rates, seeds) for own in grouped.values()]


def _combination(own: Sequence[TuningTrial], rates: Sequence[float], seeds: Sequence[int]) -> Combination:
    by_settings: dict[tuple[Any, ...], list[TuningTrial]] = {}
    for trial in own:
        by_settings.setdefault(tuple(trial.settings.values()), []).append(trial)
    curves = {settings: _curve(found, rates, seeds) for settings, found in by_settings.items()}
    bests = {settings: best_of(curve) for settings, curve in curves.items()}
    settings = max(bests, key=lambda each: bests[each].value)  # the first of equals
    best, found = bests[settings], by_settings[settings]
    return Combination(
        factors=dict(own[0].levels),
        tried={name: list(dict.fromkeys(trial.tried[name] for trial in own)) for name in own[0].tried},
        best={RATE: best.rate, **found[0].settings, **found[0].fixed},
        value=best.value,
        edge=best.edge,
        window=best.window,
        curve=curves[settings],
        diverged=tuple(sorted({trial.rate for trial in found if trial.status == "diverged"})),
    )


def _curve(trials: Sequence[TuningTrial], rates: Sequence[float], seeds: Sequence[int]) -> dict[float, list[float]]:
    """The metric of each seed by rate."""
    values = {(trial.rate, trial.seed): trial.value for trial in trials}
    return {rate: [values[rate, seed] for seed in seeds] for rate in rates}


def shared(jobs: Sequence[Job], is_varied: Callable[[str], bool]) -> dict[str, Any]:
    """The options and settings that all trials have in common, apart from those that were varied."""
    first, *rest = map(levels, jobs)
    own = {name: value for name, value in first.items() if not is_varied(name)}
    return {name: value for name, value in own.items() if all(other.get(name, ()) == value for other in rest)}


def tidy(trials: Sequence[TuningTrial], metric_name: str, kept: str | None = None) -> str:
    """A CSV table with one row per trial, in the order of the sweep.

    Args:
        trials: those of the table.
        metric_name: the metric.
        kept: a table of trials that stay in front of these; of two rows for a trial the last one counts.
    """
    names = list(dict.fromkeys(name for trial in trials for name in trial.settings))
    heading = [*trials[0].levels, RATE, *names, "seed", metric_name, "status", "key"]
    rows = []
    for trial in trials:
        levels = [*trial.levels.values(), trial.rate, *(trial.settings.get(name, "") for name in names)]
        shown = ["null" if level is None else level for level in levels]
        rows.append([*shown, trial.seed, trial.value, trial.status, trial.key])
    table = pd.DataFrame(rows, columns=heading, dtype=object)
    if kept is not None:
        before = pd.read_csv(StringIO(kept), dtype=str, keep_default_na=False)
        table = pd.concat([before, table]).fillna("").drop_duplicates("key", keep="last")
    return csv_text(table)
