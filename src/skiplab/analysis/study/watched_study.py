"""Readings of training loops that left no record, as a study, so that the figures of studies draw them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from skiplab.analysis.study.study import Study
from skiplab.charts import Chart

FACTOR = "arm of a loop"


@dataclass(frozen=True, kw_only=True, eq=False)
class WatchedStudy(Study):
    """A study whose trials have readings and losses, and nothing else. logged: the losses, as a history."""

    readings: pd.DataFrame
    logged: pd.DataFrame

    @property
    def layers(self) -> pd.DataFrame:
        return self.readings

    @property
    def history(self) -> pd.DataFrame:
        return self.logged


def watched_study(
    readings: Mapping[str, Sequence[pd.DataFrame]],
    losses: Mapping[str, Sequence[pd.Series]],
    charts: Mapping[str, Chart],
) -> WatchedStudy:
    """A study of the arms; the frames of an arm are its seeds.

    Args:
        readings: of each arm, frames with the columns step, index, path, quantity, value.
        losses: of each arm, as many series indexed by step.
        charts: the charts by name, of which those with a quantity among the readings are drawn.
    """
    trials, layers, history = [], [], []
    for arm, frames in readings.items():
        for seed, (frame, own) in enumerate(zip(frames, losses[arm], strict=True)):
            key = f"{arm}/{seed}"
            trials.append({"key": key, "status": "done", FACTOR: arm, "seed": seed})
            layers.append(frame.assign(key=key))
            history.append(pd.DataFrame({"key": key, "step": own.index, "metric": "loss", "value": own.to_numpy()}))
    found, none = pd.concat(layers, ignore_index=True), Path()
    read = {quantity.partition(".")[0] for quantity in found["quantity"].unique()}
    frame = pd.DataFrame(trials)
    frame[FACTOR] = pd.Categorical(frame[FACTOR], categories=list(readings), ordered=True)
    drawn = {name: chart for name, chart in charts.items() if name in read and chart.kind != "outcome"}
    return WatchedStudy(
        name="readings",
        runs_dir=none,
        folder=none,
        listed_in=(),
        trials=frame,
        missing={},
        factors=(FACTOR,),
        constants={},
        metrics={},
        charts=drawn,
        measured_by=dict.fromkeys(drawn, "instrument"),
        first_starts={},
        records={},
        tuned=None,
        problems=(),
        files={},
        readings=found,
        logged=pd.concat(history, ignore_index=True),
    )
