"""What evaluators and instruments found in a trial, and what they declare of it: the parts of its record."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from skiplab.charts import Chart
from skiplab.evaluators.evaluator import Evaluator
from skiplab.instruments.instrument import Instrument
from skiplab.metrics import Metric
from skiplab.records.record import Record
from skiplab.records.record_schema import Declaration


@dataclass(frozen=True)
class Declared:
    """What something else than an evaluator or an instrument measures, such as a module of the user's own."""

    metrics: Mapping[str, Metric]
    charts: Mapping[str, Chart] = field(default_factory=dict)


Measures = Evaluator[Any] | Instrument | Declared


@dataclass
class Findings:
    """Fields of a record, by the names that they have there.

    summary: values by metric.
    missing: why a metric or chart has no value.
    details: further facts, by evaluator.
    metrics, charts: declarations by name.
    """

    summary: dict[str, int | float | None]
    missing: dict[str, str]
    details: dict[str, Any]
    metrics: dict[str, Declaration]
    charts: dict[str, Declaration]

    @classmethod
    def of(cls, record: Record) -> "Findings":
        """What the record holds so far."""
        content = record.read()
        return cls(
            summary=content["summary"],
            missing=content["missing"],
            details=content["details"],
            metrics=content["metrics"],
            charts=content["charts"],
        )

    def copy(self) -> "Findings":
        """A copy to which findings may be added, which leaves this one as it is."""
        return replace(self, details=dict(self.details), metrics=dict(self.metrics), charts=dict(self.charts))

    def declare(self, measures: Measures, measured_by: str) -> None:
        """Add the declarations of an evaluator or instrument, and forget why its values were missing."""
        own = {*measures.metrics, *measures.charts}
        self.missing = {name: reason for name, reason in self.missing.items() if name not in own}
        self.metrics |= {name: vars(metric) for name, metric in measures.metrics.items()}
        self.charts |= {name: vars(chart) | {"measured_by": measured_by} for name, chart in measures.charts.items()}

    def add(
        self,
        measures: Measures,
        measured_by: str,
        summary: Mapping[str, float],
        missing: Mapping[str, str],
    ) -> None:
        """Add what an evaluator or instrument found and declares, in place of what it found before."""
        self.declare(measures, measured_by)
        self.summary = {name: value for name, value in self.summary.items() if name not in missing} | dict(summary)
        self.missing |= missing
