"""Evaluators on a trained trial: what they find goes into its record."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig
from PIL import Image

from skiplab.evaluators.evaluator import Evaluator, Trained
from skiplab.evaluators.probe import Probe
from skiplab.instruments.instrument import Instrument
from skiplab.training.build import Parts, build_model, maker
from skiplab.training.plan import asked_evaluators
from skiplab.training.record import Record


def evaluate(config: DictConfig, parts: Parts, record: Record, names: Sequence[str]) -> dict[str, Image.Image]:
    """Run the named evaluators; write summary, details, declarations and pictures to the record."""
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
    found: dict[str, dict[str, Any]] = {name: content[name] for name in ("summary", "details", "metrics")}
    pictures: dict[str, Image.Image] = {}
    for name in names:
        evaluator: Evaluator = maker(config.evaluator[name])()
        result = evaluator.evaluate(trained)
        found["summary"] |= result.summary
        pictures |= result.pictures
        found["details"][name] = result.details
        found["metrics"] |= {metric: vars(declared) for metric, declared in evaluator.metrics.items()}
        for stem, picture in result.pictures.items():
            picture.save(record.folder / f"{stem}.png")
    asked = asked_evaluators(config)
    record.update(**found, evaluators=content["evaluators"] | {name: asked[name] for name in names})
    return pictures


def read_readings(record: Record) -> pd.DataFrame:
    """All that the instruments read; of rows that a resumed trial wrote again, the last."""
    readings = pd.read_csv(record.folder / "layers.csv")
    return readings.drop_duplicates(["step", "path", "quantity"], keep="last")


def summarise(instruments: Mapping[str, Instrument], readings: pd.DataFrame, record: Record) -> None:
    """Write the instruments' summary values to the record."""
    content = record.read()
    summary, metrics = content["summary"], content["metrics"]
    for instrument in instruments.values():
        summary |= instrument.summarise(readings)
        metrics |= {metric: vars(declared) for metric, declared in instrument.metrics.items()}
    record.update(summary=summary, metrics=metrics)
