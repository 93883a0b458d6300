"""What a study's records declare of their metrics and charts; the first declaration counts where they differ."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from skiplab.charts import Chart
from skiplab.metrics import Metric
from skiplab.printable import printable

Records = Mapping[str, Mapping[str, Any]]
_KINDS = ("lines", "bars", "heat", "contour", "outcome")


class Charts(NamedTuple):
    """declared: the charts by name, in the order in which they are declared. measured_by: who measured each."""

    declared: dict[str, Chart]
    measured_by: dict[str, str]


def read_metrics(records: Records) -> tuple[dict[str, Metric], list[tuple[str, str]]]:
    """The declarations of all records' metrics, and what could not be read of them."""
    metrics: dict[str, Metric] = {}
    first: dict[str, Any] = {}
    problems = []
    for key, name in _told(records):
        declared = records[key]["metrics"].get(name, {"label": name, "direction": None})
        if name in first and declared == first[name]:
            continue
        first.setdefault(name, declared)
        where = f"metric {printable(name)} of {key}"
        try:
            metric = _metric(declared)
        except (TypeError, ValueError, AttributeError) as error:
            problems.append((where, f"not declared: {error}"))
            metric = Metric(label=name, direction=None)
        if metrics.setdefault(name, metric) != metric:
            problems.append((where, "an earlier trial declared it differently"))
    return metrics, problems


def _told(records: Records) -> Iterator[tuple[str, str]]:
    """Each record's key with each metric of it: those of its summary, then those that only diverged trials know.

    A diverged trial has no summary to speak of; what it declares counts where no other trial says what there is of it.
    """
    known: set[str] = set()
    for key, record in records.items():
        known.update(record["summary"], record["metrics"] if record["status"] == "done" else ())
        yield from ((key, name) for name in record["summary"])
    for key, record in records.items():
        if record["status"] == "diverged":
            yield from ((key, name) for name in record["metrics"] if name not in known)


def read_charts(records: Records) -> tuple[Charts, list[tuple[str, str]]]:
    """The declarations of all records' charts, and what could not be read of them; what can't is not drawn."""
    charts, problems = Charts({}, {}), []
    first_declared: dict[str, Any] = {}
    for key, record in records.items():
        for name, declared in record["charts"].items():
            if name in first_declared and declared == first_declared[name]:
                continue
            first_declared.setdefault(name, declared)
            where = f"chart {printable(name)} of {key}"
            try:
                chart = _chart(declared)
            except (TypeError, ValueError, AttributeError) as error:
                problems.append((where, f"not declared: {error}"))
                continue
            first = charts.declared.setdefault(name, chart)
            if (first.kind, first.log) != (chart.kind, chart.log):  # captions may be mended between two trials
                problems.append((where, "an earlier trial declared it differently"))
            charts.measured_by.setdefault(name, str(declared.get("measured_by", "")))
    return charts, problems


def _metric(declared: Mapping[str, Any]) -> Metric:
    metric = Metric(**_known(Metric, declared))
    if metric.direction not in ("higher", "lower", None):
        raise ValueError(f"direction {metric.direction!r}")
    if metric.scale not in ("linear", "log", "bounded"):
        raise ValueError(f"scale {metric.scale!r}")
    if not (metric.if_diverged in (None, "measured") or isinstance(metric.if_diverged, int | float)):
        raise ValueError(f"if_diverged {metric.if_diverged!r}")
    if not isinstance(metric.reached, str | None):
        raise ValueError(f"reached {metric.reached!r}")
    return metric


def _chart(declared: Mapping[str, Any]) -> Chart:
    chart = Chart(**_known(Chart, {**declared, "log": tuple(declared.get("log", ()))}))
    if chart.kind not in _KINDS:
        raise ValueError(f"kind {chart.kind!r}")
    if not all(isinstance(text, str) for text in (chart.title, chart.caption, chart.x, chart.y, chart.value)):
        raise ValueError("its texts are no texts")
    if not set(chart.log) <= {"x", "value"}:
        raise ValueError(f"log {chart.log!r}")
    return chart


def _known(kind: type, declared: Mapping[str, Any]) -> dict[str, Any]:
    """What is declared of the fields that this version knows."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in declared.items() if name in names}
