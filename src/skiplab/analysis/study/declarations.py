"""What the records of a study declare of their metrics and charts; if two differ, the first counts."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from skiplab.charts import Chart
from skiplab.metrics import Metric
from skiplab.printable import printable
from skiplab.records.read_records import Problem, Records
from skiplab.records.record_json import explain
from skiplab.records.record_schema import Declaration

_METRIC, _CHART = TypeAdapter(Metric), TypeAdapter(Chart)


class Charts(NamedTuple):
    """declared: the charts by name, in the order of their declarations. measured_by: who measured each."""

    declared: dict[str, Chart]
    measured_by: dict[str, str]


class _Found(NamedTuple):
    """One declaration: the trial's key, the name of the metric or chart, and what is declared of it."""

    key: str
    name: str
    declaration: Declaration


def read_metrics(records: Records) -> tuple[dict[str, Metric], list[Problem]]:
    """The metrics of all records, and the declarations that can't be read; such a metric has no direction."""
    metrics: dict[str, Metric] = {}
    problems: list[Problem] = []
    for found in _first_of_equals(_metrics(records)):
        where = f"metric {printable(found.name)} of {found.key}"
        try:
            metric = _METRIC.validate_python(found.declaration)
        except ValidationError as error:
            problems.append(Problem(where, f"its declaration can't be read: {explain(error)}"))
            metric = Metric(label=found.name, direction=None)
        if metrics.setdefault(found.name, metric) != metric:
            problems.append(Problem(where, "an earlier trial declared it differently"))
    return metrics, problems


def read_charts(records: Records) -> tuple[Charts, list[Problem]]:
    """The charts of all records, and the declarations that can't be read; such a chart isn't drawn."""
    charts = Charts({}, {})
    problems: list[Problem] = []
    declarations = (_Found(key, *each) for key, record in records.items() for each in record["charts"].items())
    for found in _first_of_equals(declarations):
        where = f"chart {printable(found.name)} of {found.key}"
        try:
            chart = _CHART.validate_python(found.declaration)
        except ValidationError as error:
            problems.append(Problem(where, f"its declaration can't be read: {explain(error)}"))
            continue
        first = charts.declared.setdefault(found.name, chart)
        if (first.kind, first.log) != (chart.kind, chart.log):  # texts may be corrected between two trials
            problems.append(Problem(where, "an earlier trial declared it differently"))
        charts.measured_by.setdefault(found.name, str(found.declaration.get("measured_by", "")))
    return charts, problems


def _metrics(records: Records) -> Iterator[_Found]:
    """The metrics of all summaries, then those that only diverged trials declare.

    A diverged trial has nearly no summary; its declarations count if no other trial has the metric.
    """
    known: set[str] = set()
    for key, record in records.items():
        known.update(record["summary"], record["metrics"] if record["status"] == "done" else ())
        for name in record["summary"]:
            yield _Found(key, name, record["metrics"].get(name, {"label": name, "direction": None}))
    for key, record in records.items():
        if record["status"] == "diverged":
            yield from (_Found(key, name, each) for name, each in record["metrics"].items() if name not in known)


def _first_of_equals(declarations: Iterable[_Found]) -> Iterator[_Found]:
    """Leave out what equals the first declaration of its name, as nearly all of ten thousand trials do."""
    first: dict[str, Declaration] = {}
    for found in declarations:
        if found.name in first and found.declaration == first[found.name]:
            continue
        first.setdefault(found.name, found.declaration)
        yield found
