"""Measures a trained network, and writes what evaluators and instruments found to its record."""

import io
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import pandas as pd
from PIL import Image

from skiplab.charts import Measurement
from skiplab.errors import SkiplabError
from skiplab.evaluators.evaluator import Evaluator, Trained
from skiplab.evaluators.results.missing import measured, split_finite
from skiplab.instruments.instrument import Instrument, TrainingLog
from skiplab.printable import one_line
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import CONFIG, EVALUATION_FILES, MEASUREMENTS, TRAINING_FILES
from skiplab.records.finished_files import finished_files, truncated_files
from skiplab.records.record import Record
from skiplab.records.record_json import check_findings
from skiplab.records.record_schema import RecordContent
from skiplab.training.components import Components
from skiplab.training.findings import Findings
from skiplab.training.plan import Plan
from skiplab.training.read_tables import read_measurements


class Evaluated(NamedTuple):
    """pictures: those that were drawn, by stem. failed: why evaluators failed, by who."""

    pictures: dict[str, Image.Image]
    failed: dict[str, str]


class _Found(NamedTuple):
    """What one evaluator found, as it is written. pictures: their files' content by stem."""

    findings: Findings
    measurements: pd.DataFrame
    drawn: dict[str, Image.Image]
    pictures: dict[str, bytes]


def evaluate(components: Components, plan: Plan, record: Record) -> Evaluated:
    """Run the evaluators that the record lacks.

    If one raises an exception, what it would have found is missing for that reason, and all others are run. What it
    found earlier with other settings stays as it is.
    """
    _set_damaged_aside(record, record.read())
    content, findings, trained = record.read(), Findings.of(record), _trained(components)
    valid, names = plan.valid_evaluators(content), plan.missing_evaluators(content)
    measurements, pictures_of = read_measurements(record), dict(content["pictures"])
    pictures: dict[str, Image.Image] = {}
    failed: dict[str, str] = {}
    for name in names:
        evaluator, who = components.evaluators[name], f"evaluator {name}"
        try:
            found = _measure(evaluator, name, trained, findings)
        except Exception as error:  # of any type: an evaluator may be the user's own
            failed[who] = reason = _told(error)
            if name not in content["evaluators"]:
                findings.add(evaluator, who, {}, dict.fromkeys([*evaluator.metrics, *evaluator.charts], reason))
            continue
        findings, pictures = found.findings, pictures | found.drawn
        others = measurements.loc[measurements["evaluator"] != name]
        measurements = pd.concat([others, found.measurements.reindex(columns=list(MEASUREMENTS.columns))])
        valid[name], pictures_of[name] = plan.evaluators[name], [f"{stem}.png" for stem in found.pictures]
        for stem, picture in found.pictures.items():
            write_atomically(record.folder / f"{stem}.png", picture)
    write_atomically(record.folder / MEASUREMENTS.file, measurements.to_csv(index=False).encode())
    written = {MEASUREMENTS.file, *(f"{stem}.png" for stem in pictures)}  # the others keep the hashes that they had
    kept = {name: file for name, file in content["files"].items() if (record.folder / name).exists()}
    record.update(
        **asdict(findings),
        evaluators=valid,
        pictures=pictures_of,
        files=kept | finished_files(record.folder, [file for file in EVALUATION_FILES if file in written]),
        failed=_still_failed(content, [f"evaluator {name}" for name in components.evaluators], failed),
    )
    return Evaluated(pictures, failed)


def _measure(evaluator: Evaluator[Any], name: str, trained: Trained[Any], findings: Findings) -> _Found:
    """Run one evaluator.

    Raises:
        Exception: whatever it raises; ValueError, if a record can't hold what it found.
    """
    result, own = measured(evaluator, trained), findings.copy()
    own.add(evaluator, f"evaluator {name}", result.summary, result.missing)
    own.details[name] = result.details
    check_findings(asdict(own))
    rows = pd.DataFrame(result.measurements, columns=list(Measurement._fields)).assign(evaluator=name)
    encoded = {}
    for stem, picture in result.pictures.items():
        file = io.BytesIO()
        picture.save(file, format="PNG")
        encoded[stem] = file.getvalue()
    return _Found(own, rows, result.pictures, encoded)


def _told(error: Exception) -> str:
    """An exception in one line, after its traceback on standard error."""
    traceback.print_exception(error, file=sys.stderr)
    return one_line(f"{type(error).__name__}: {error}")


def _still_failed(content: RecordContent, tried: Sequence[str], failed: Mapping[str, str]) -> dict[str, str]:
    """Those that failed now, and those that failed before and weren't tried again."""
    return {who: why for who, why in content.get("failed", {}).items() if who not in tried} | dict(failed)


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


def _set_damaged_aside(record: Record, content: RecordContent) -> None:
    """Set a truncated or changed table of measurements aside as a whole, with a message; then no evaluator is valid."""
    path, damage = record.folder / MEASUREMENTS.file, ""
    if any(truncated_files(record.folder, content["files"], [path.name])):
        damage = "was truncated"
    elif path.name in content["files"]:
        try:
            read_measurements(record)
        except ValueError as error:
            damage = f"can't be used ({error})"
    if not damage:
        return
    where = f"; the old file is in {record.set_aside([path])}" if path.exists() else ""
    others = ", ".join(content["evaluators"])
    print(f"trial {record.key}: {path.name} {damage}, so {others} must run again{where}", flush=True)
    record.update(evaluators={})


def declare(components: Components, record: Record) -> None:
    """Write what the evaluators declare to the record of a diverged trial, which they can't measure.

    From this the analysis knows what a diverged trial counts as in their metrics.
    """
    findings = Findings.of(record)
    for name, evaluator in components.evaluators.items():
        findings.declare(evaluator, f"evaluator {name}")
    record.update(metrics=findings.metrics, charts=findings.charts)


def tell_failures(record: Record, failures: Mapping[str, str]) -> None:
    """Say what failed to measure a trial, which has ended all the same.

    Raises:
        SkiplabError: if anything did.
    """
    if failures:
        named = "; ".join(f"{measures} failed: {reason}" for measures, reason in failures.items())
        raise SkiplabError(
            f"trial {record.key} is {record.read()['status']}, but {named}; its other results are in {record.folder}, "
            "and the same command tries again"
        )


def summarize(instruments: Mapping[str, Instrument], log: TrainingLog, record: Record) -> dict[str, str]:
    """Write the instruments' summary values and declarations to the record.

    Of a diverged trial, write only what counts: metrics whose measured value does, and values that are declared for it.
    If an instrument raises an exception, its values are missing for that reason.

    Returns:
        Why instruments failed.
    """
    content, findings = record.read(), Findings.of(record)
    failed: dict[str, str] = {}
    for name, instrument in instruments.items():
        own, who = findings.copy(), f"instrument {name}"
        try:
            summary, missing = split_finite(instrument.summarize(log))
            if log.diverged:
                counted = {metric: declared.if_diverged for metric, declared in instrument.metrics.items()}
                summary = {metric: value for metric, value in summary.items() if counted[metric] in ("measured", value)}
                missing = {metric: reason for metric, reason in missing.items() if counted[metric] == "measured"}
            own.add(instrument, who, summary, missing)
            check_findings(asdict(own))
        except Exception as error:  # of any type: an instrument may be the user's own
            failed[who], own = (reason := _told(error)), findings.copy()
            own.add(instrument, who, {}, dict.fromkeys([*instrument.metrics, *instrument.charts], reason))
        findings = own
    tried = [f"instrument {name}" for name in instruments]
    record.update(
        **asdict(findings),
        files=finished_files(record.folder, (CONFIG, *TRAINING_FILES)) | content["files"],
        failed=_still_failed(content, tried, failed),
    )
    return failed
