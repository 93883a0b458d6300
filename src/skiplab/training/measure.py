"""Measures a trained network, and writes what evaluators and instruments found to its record."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd
from PIL import Image

from skiplab.charts import Measurement
from skiplab.evaluators.evaluator import Trained
from skiplab.evaluators.results.missing import measured, split_finite
from skiplab.instruments.instrument import Instrument, TrainingLog
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import EVALUATION_FILES, MEASUREMENTS, TRAINING_FILES
from skiplab.records.record import Record
from skiplab.records.record_schema import RecordContent
from skiplab.records.table_file import empty_table
from skiplab.records.truncation import file_lengths, truncated_files
from skiplab.training.components import Components
from skiplab.training.findings import Findings
from skiplab.training.plan import Plan
from skiplab.training.read_tables import read_measurements


def evaluate(components: Components, plan: Plan, record: Record) -> dict[str, Image.Image]:
    """Run the evaluators that the record lacks; returns their pictures by stem."""
    content, findings, trained = record.read(), Findings.of(record), _trained(components)
    valid, names = plan.valid_evaluators(content), plan.missing_evaluators(content)
    measurements, drawn = _valid_measurements(record, content), dict(content["pictures"])
    pictures: dict[str, Image.Image] = {}
    for name in names:
        evaluator = components.evaluators[name]
        result = measured(evaluator, trained)
        findings.add(evaluator, f"evaluator {name}", result.summary, result.missing)
        findings.details[name] = result.details
        own = pd.DataFrame(result.measurements, columns=list(Measurement._fields)).assign(evaluator=name)
        others = measurements.loc[measurements["evaluator"] != name]
        measurements = pd.concat([others, own.reindex(columns=list(MEASUREMENTS.columns))])
        pictures |= result.pictures
        drawn[name] = [f"{stem}.png" for stem in result.pictures]
        for stem, picture in result.pictures.items():
            picture.save(record.folder / f"{stem}.png")
    write_atomically(record.folder / MEASUREMENTS.file, measurements.to_csv(index=False).encode())
    of_training = {name: length for name, length in content["files"].items() if name in TRAINING_FILES}
    record.update(
        **asdict(findings),
        evaluators=valid | {name: plan.evaluators[name] for name in names},
        pictures=drawn,
        files=of_training | file_lengths(record.folder, EVALUATION_FILES),
    )
    return pictures


def _trained(components: Components) -> Trained[Any]:
    settings = components.settings
    return Trained(
        model=components.model.to(settings.device).eval(),
        make_untrained=components.make_untrained,
        objective=components.objective,
        data=components.data.to(settings.device),
        sampler=components.sampler,
        make_extractor=components.make_extractor,
        eval_batch=components.eval_batch,
        seed=settings.seed,
        device=settings.device,
        weights="last" if components.weight_average is None else "average",
    )


def _valid_measurements(record: Record, content: RecordContent) -> pd.DataFrame:
    """The rows that are still valid; a truncated table is set aside as a whole, with a message."""
    if any(truncated_files(record.folder, content["files"], [MEASUREMENTS.file])):
        path = record.folder / MEASUREMENTS.file
        where = f"; the rest of it is in {record.set_aside([path])}" if path.exists() else ""
        others = ", ".join(content["evaluators"])
        print(f"trial {record.key}: {path.name} was truncated, so {others} must run again{where}", flush=True)
        return empty_table(MEASUREMENTS)
    return read_measurements(record)


def declare(components: Components, record: Record) -> None:
    """Write what the evaluators declare to the record of a diverged trial, which they can't measure.

    From this the analysis knows what a diverged trial counts as in their metrics.
    """
    findings = Findings.of(record)
    for name, evaluator in components.evaluators.items():
        findings.declare(evaluator, f"evaluator {name}")
    record.update(metrics=findings.metrics, charts=findings.charts)


def summarize(instruments: Mapping[str, Instrument], log: TrainingLog, record: Record) -> None:
    """Write the instruments' summary values and declarations to the record.

    Of a diverged trial, write only what counts: metrics whose measured value does, and values that are declared for it.
    """
    findings = Findings.of(record)
    for name, instrument in instruments.items():
        summary, missing = split_finite(instrument.summarize(log))
        if log.diverged:
            counted = {metric: declared.if_diverged for metric, declared in instrument.metrics.items()}
            summary = {metric: value for metric, value in summary.items() if counted[metric] in ("measured", value)}
            missing = {metric: reason for metric, reason in missing.items() if counted[metric] == "measured"}
        findings.add(instrument, f"instrument {name}", summary, missing)
    record.update(**asdict(findings), files=file_lengths(record.folder, TRAINING_FILES))
