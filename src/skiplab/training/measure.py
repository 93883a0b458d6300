"""Evaluators on a trained trial: what they find goes into its record."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig
from PIL import Image

from skiplab.charts import Measurement
from skiplab.evaluators.eval_batches.eval_batch import EvalBatch
from skiplab.evaluators.evaluator import Evaluator, Trained
from skiplab.evaluators.results.missing import measured, split_finite
from skiplab.instruments.instrument import Instrument, TrainingLog
from skiplab.records.atomic_file import write_atomically
from skiplab.records.record import Record
from skiplab.records.record_files import MEASURED, TRAINED, cut_off, lengths
from skiplab.training.build import Parts, build_model
from skiplab.training.factory import factory
from skiplab.training.plan import asked_evaluators, chosen, kept_evaluators

_COLUMNS = ("evaluator", "chart", "line", "x", "y", "value")  # of measurements.csv


def evaluate(config: DictConfig, parts: Parts, record: Record, names: Sequence[str]) -> dict[str, Image.Image]:
    """Run the named evaluators; write all that they find and declare to the record, and why what is missing is."""
    device = torch.device("cuda" if config.trainer.accelerator == "gpu" else "cpu")
    trained = Trained(
        model=parts.model.to(device).eval(),
        make_untrained=lambda: build_model(config, parts.data, parts.objective),
        objective=parts.objective,
        data=parts.data.to(device),
        sampler=factory(config.sampler)(),
        make_extractor=factory(config.feature_extractor),
        eval_batch=EvalBatch(**config.eval_batch),
        seed=config.seed,
        device=device,
    )
    content, found = record.read(), _found_so_far(record)
    kept = kept_evaluators(record.folder, content)
    measurements, drawn = _measurements_so_far(record, content), dict(content.get("pictures", {}))
    pictures: dict[str, Image.Image] = {}
    for name in names:
        evaluator: Evaluator = factory(config.evaluator[name])()
        result = measured(evaluator, trained)
        _add(found, evaluator, f"evaluator {name}", result.summary, result.missing)
        pictures |= result.pictures
        found["details"][name] = result.details
        own = pd.DataFrame(result.measurements, columns=Measurement._fields).assign(evaluator=name)
        measurements = pd.concat([measurements[measurements["evaluator"] != name], own[list(_COLUMNS)]])
        drawn[name] = [f"{stem}.png" for stem in result.pictures]
        for stem, picture in result.pictures.items():
            picture.save(record.folder / f"{stem}.png")
    asked = asked_evaluators(config)
    of_training = {name: length for name, length in content.get("files", {}).items() if name in TRAINED}
    write_atomically(record.folder / "measurements.csv", measurements.to_csv(index=False).encode())
    record.update(
        **found,
        evaluators=kept | {name: asked[name] for name in names},
        pictures=drawn,
        files=of_training | lengths(record.folder, MEASURED),
    )
    return pictures


def _measurements_so_far(record: Record, content: Mapping[str, Any]) -> pd.DataFrame:
    """The rows that stay; a table that was cut off is set aside whole, and says so."""
    if any(cut_off(record.folder, content.get("files"), ["measurements.csv"])):
        path = record.folder / "measurements.csv"
        where = f"; what is left of it is in {record.set_aside([path])}" if path.exists() else ""
        others = ", ".join(content["evaluators"])
        print(f"trial {record.key}: measurements.csv was cut off, so {others} have to measure again{where}", flush=True)
        return pd.DataFrame(columns=list(_COLUMNS))
    return read_measurements(record)


def declare(config: DictConfig, record: Record) -> None:
    """Write what the evaluators that are asked for declare to the record of a diverged trial, which they can't measure.

    So the analysis knows what the trial counts with in metrics that it has no value of.
    """
    found = _found_so_far(record)
    for name, node in chosen(config.evaluator).items():
        _add(found, factory(node)(), f"evaluator {name}", {}, {})
    record.update(metrics=found["metrics"], charts=found["charts"])


def _found_so_far(record: Record) -> dict[str, dict[str, Any]]:
    content = record.read()
    return {name: content.get(name, {}) for name in ("summary", "missing", "details", "metrics", "charts")}


def _add(
    found: dict[str, dict[str, Any]],
    measures: Evaluator | Instrument,
    measured_by: str,
    summary: Mapping[str, float],
    missing: Mapping[str, str],
) -> None:
    """Put what an evaluator or instrument found, and what it declares, in place of what it found before."""
    own = {*measures.metrics, *measures.charts}
    found["summary"] = {name: value for name, value in found["summary"].items() if name not in missing} | dict(summary)
    found["missing"] = {name: why for name, why in found["missing"].items() if name not in own} | dict(missing)
    found["metrics"] |= {name: vars(metric) for name, metric in measures.metrics.items()}
    found["charts"] |= {name: vars(chart) | {"measured_by": measured_by} for name, chart in measures.charts.items()}


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
    found = _found_so_far(record)
    for name, instrument in instruments.items():
        summary, missing = split_finite(instrument.summarize(log))
        if diverged:
            counted = {metric for metric, declared in instrument.metrics.items() if declared.if_diverged == "measured"}
            summary, missing = ({name: part[name] for name in part if name in counted} for part in (summary, missing))
        _add(found, instrument, f"instrument {name}", summary, missing)
    record.update(**found, files=lengths(record.folder, TRAINED))
