"""Evaluators on a trained trial: what they find goes into its record."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig
from PIL import Image

from skiplab.atomic_file import write_atomically
from skiplab.charts import Measurement
from skiplab.evaluators.evaluator import Evaluator, Trained
from skiplab.evaluators.probe import Probe
from skiplab.instruments.instrument import Instrument, TrainingLog
from skiplab.record_files import MEASURED, TRAINED, cut_off, lengths
from skiplab.training.build import Parts, build_model, maker
from skiplab.training.plan import asked_evaluators, kept_evaluators
from skiplab.training.record import Record

_COLUMNS = ("evaluator", "chart", "line", "x", "y", "value")  # of measurements.csv


def evaluate(config: DictConfig, parts: Parts, record: Record, names: Sequence[str]) -> dict[str, Image.Image]:
    """Run the named evaluators; write all that they find and declare to the record."""
    device = torch.device("cuda" if config.trainer.accelerator == "gpu" else "cpu")
    trained = Trained(
        model=parts.model.to(device).eval(),
        make_untrained=lambda: build_model(config, parts.data, parts.objective),
        objective=parts.objective,
        data=parts.data.to(device),
        sampler=maker(config.sampler)(),
        make_extractor=maker(config.feature_extractor),
        probe=Probe(**config.probe),
        seed=config.seed,
        device=device,
    )
    content = record.read()
    found: dict[str, dict[str, Any]] = {name: content[name] for name in ("summary", "details", "metrics", "charts")}
    kept = kept_evaluators(record.folder, content)
    measurements = read_measurements(record) if kept else pd.DataFrame(columns=list(_COLUMNS))
    pictures: dict[str, Image.Image] = {}
    for name in names:
        evaluator: Evaluator = maker(config.evaluator[name])()
        result = evaluator.evaluate(trained)
        found["summary"] |= result.summary
        pictures |= result.pictures
        found["details"][name] = result.details
        found |= _declarations(found, evaluator, f"evaluator {name}")
        own = pd.DataFrame(result.measurements, columns=Measurement._fields).assign(evaluator=name)
        measurements = pd.concat([measurements[measurements["evaluator"] != name], own[list(_COLUMNS)]])
        for stem, picture in result.pictures.items():
            picture.save(record.folder / f"{stem}.png")
    asked = asked_evaluators(config)
    trained = {name: length for name, length in content.get("files", {}).items() if name in TRAINED}
    write_atomically(record.folder / "measurements.csv", measurements.to_csv(index=False).encode())
    record.update(
        **found,
        evaluators=kept | {name: asked[name] for name in names},
        files=trained | lengths(record.folder, MEASURED),
    )
    return pictures


def _declarations(
    found: Mapping[str, Any], measures: Evaluator | Instrument, measured_by: str
) -> dict[str, dict[str, Any]]:
    """The record's declarations of metrics and charts, with those of an evaluator or instrument."""
    metrics = {name: vars(metric) for name, metric in measures.metrics.items()}
    charts = {name: vars(chart) | {"measured_by": measured_by} for name, chart in measures.charts.items()}
    return {"metrics": found["metrics"] | metrics, "charts": found["charts"] | charts}


def read_measurements(record: Record) -> pd.DataFrame:
    """All values of the evaluators' charts."""
    path = record.folder / "measurements.csv"
    if not path.exists():
        return pd.DataFrame(columns=list(_COLUMNS))
    return pd.read_csv(path, keep_default_na=False, na_values={"y": [""]})


def read_readings(record: Record) -> pd.DataFrame:
    """All that the instruments read; of rows that a resumed trial wrote again, the last; nothing of a cut-off file."""
    if any(cut_off(record.folder, record.read().get("files"), ["layers.csv"])):
        return pd.DataFrame(columns=["step", "index", "path", "quantity", "value"])
    readings = pd.read_csv(record.folder / "layers.csv")
    return readings.drop_duplicates(["step", "path", "quantity"], keep="last")


def read_log(config: DictConfig, record: Record, zero_loss: float) -> TrainingLog:
    """All that was written down while a trial trained."""
    history = pd.read_csv(record.folder / "history.csv").drop_duplicates(["step", "metric"], keep="last")
    return TrainingLog(
        readings=read_readings(record),
        losses=history[history["metric"] == "loss"].set_index("step")["value"],
        num_skipped=int((history["metric"] == "skipped_update").sum()),
        zero_loss=zero_loss,
        max_steps=config.trainer.max_steps,
        batch_size=config.batch_size,
    )


def summarise(instruments: Mapping[str, Instrument], log: TrainingLog, record: Record, *, diverged: bool) -> None:
    """Write the instruments' summary values and declarations to the record.

    Of a diverged trial, only metrics that count with what it measured.
    """
    content = record.read()
    found = {name: content[name] for name in ("summary", "metrics", "charts")}
    for name, instrument in instruments.items():
        summary = instrument.summarise(log)
        if diverged:
            counted = {metric for metric, declared in instrument.metrics.items() if declared.if_diverged == "measured"}
            summary = {metric: value for metric, value in summary.items() if metric in counted}
        found["summary"] |= summary
        found |= _declarations(found, instrument, f"instrument {name}")
    record.update(**found, files=lengths(record.folder, TRAINED))
