"""What a study's records say: its trials as a data frame, and what they vary, share and measure."""

from collections.abc import Mapping, Sequence

import pandas as pd

from skiplab.analysis.study.declarations import read_charts, read_metrics
from skiplab.analysis.study.factors import Factors, find_factors
from skiplab.analysis.study.published_trials import PublishedTrials
from skiplab.analysis.study.study_cache import Contents
from skiplab.analysis.study.tuned_study import as_tuned
from skiplab.metrics import Metric
from skiplab.printable import printable
from skiplab.records.read_records import Problem, Records
from skiplab.records.record_schema import RecordContent
from skiplab.records.statuses import STATUSES
from skiplab.records.timestamps import in_utc
from skiplab.records.tuned import Tuned

_PARITY = ("num_parameters", "flops_per_sample", "activation_bytes_per_sample", "num_layers", "num_joins")
# Columns of a study's trials that are no factors and no metrics.
OWN_COLUMNS = ("key", "status", "step", "diverged_step", "error", "wall_seconds", *_PARITY)


def read_contents(
    records: Records, tuned: Tuned | None, bad_records: Sequence[Problem], published: PublishedTrials | None = None
) -> Contents:
    """What the records say, and the published trials that have none."""
    metrics, bad_metrics = read_metrics(records)
    charts, bad_charts = read_charts(records)
    if published is not None:
        bad_metrics += [
            _other_metric(name) for name, metric in published.metrics.items() if metrics.get(name, metric) != metric
        ]
        metrics = {**published.metrics, **metrics}
    settings = {**(published.settings if published else {}), **records}
    found = find_factors(as_tuned(settings, tuned))
    clashing = {*OWN_COLUMNS, "seed", "arm", *found.varying.columns}.intersection(metrics)
    metrics = {name: metric for name, metric in metrics.items() if name not in clashing}
    return Contents(
        trials=_trials(records, found, metrics, published),
        missing={key: record["missing"] for key, record in records.items() if record["missing"]},
        factors=tuple(found.varying.columns),
        constants=found.constants,
        metrics=metrics,
        charts=charts.declared,
        measured_by=charts.measured_by,
        problems=(*bad_records, *bad_metrics, *map(_clash, sorted(clashing)), *bad_charts),
        first_starts={key: _first_start(record) for key, record in records.items()},
        files={key: record["files"] for key, record in records.items() if record["files"]},
    )


def _clash(metric: str) -> Problem:
    return Problem(
        f"metric {printable(metric)}",
        "it is named like a factor or a column of the record; valid: any other name; rename it in the evaluator or "
        "instrument that measures it",
    )


def _other_metric(metric: str) -> Problem:
    return Problem(f"metric {printable(metric)} of the published trials", "the trials here declare it differently")


def _first_start(record: RecordContent) -> str:
    return in_utc(record["provenance"]["first_started"]).isoformat()


def _trials(
    records: Records, found: Factors, metrics: Mapping[str, Metric], published: PublishedTrials | None
) -> pd.DataFrame:
    """A row a trial, in the order of the factors; a record takes the place of a published row."""
    frame = _of_records(records, metrics)
    if published is not None:
        rows = published.trials.loc[~published.trials["key"].isin(list(records))].assign(error="")
        frame = pd.concat([each for each in (rows.reindex(columns=frame.columns), frame) if len(each)])
    columns = ["key", "status", *found.varying.columns, *frame.columns[2:]]
    return frame.join(found.varying).loc[list(found.varying.index), columns].reset_index(drop=True)


def _of_records(records: Records, metrics: Mapping[str, Metric]) -> pd.DataFrame:
    frame = pd.DataFrame({"key": list(records)}).set_index("key", drop=False).rename_axis(None)
    content = list(records.values())
    frame["status"] = pd.Categorical([record["status"] for record in content], categories=STATUSES)
    frame["seed"] = [record["factors"]["seed"] for record in content]
    for name in metrics:
        frame[name] = [_float(record["summary"].get(name)) for record in content]
    frame["step"] = [float(record["step"]) for record in content]
    frame["diverged_step"] = [_float(record["diverged_step"]) for record in content]
    frame["error"] = pd.Series([record["error"] or "" for record in content], index=frame.index, dtype="str")
    frame["wall_seconds"] = [record["provenance"]["wall_seconds"] for record in content]
    for name in _PARITY:
        frame[name] = [_float(record["parity"][name]) for record in content]
    return frame


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)
