"""Synthetic records: what training would leave on disk, with effects that the tests plant."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_charts import CHARTS
from example_claims import CLAIMS
from PIL import Image

from example_records import example_record
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.page.report import write_report
from skiplab.analysis.study.study import read_study
from skiplab.metrics import Metric

METRICS = {
    "loss_val": Metric(label="validation loss", direction="lower"),
    "skill_train": Metric(label="skill", direction="higher", scale="bounded", if_diverged=0.0),
    "frechet_distance": Metric(label="Frechet distance", direction="lower", scale="log"),
    "update_ratio_first_block": Metric(label="update ratio", direction="higher", scale="log", floor=1e-12),
    "steps_to_threshold": Metric(
        label="steps", direction="lower", scale="log", if_diverged="measured", reached="threshold_reached"
    ),
    "threshold_reached": Metric(label="reached", direction="higher", scale="bounded", if_diverged="measured"),
    "loss_zero": Metric(label="zero predictor", direction="lower"),
    "loss_affine": Metric(label="affine predictor", direction="lower"),
}


class Runs:
    """A runs folder to be filled with trials."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def trial(
        self,
        study: str = "s",
        *,
        seed: int = 0,
        choices: Mapping[str, Any] | None = None,
        factors: Mapping[str, Any] | None = None,
        summary: Mapping[str, float | None] | None = None,
        status: str = "done",
        **fields: Any,
    ) -> str:
        """Write one record and list it in the study; returns its key."""
        choices = {"connection": "plain", "logger": "none"} | dict(choices or {})
        factors = {"depth": 4, "seed": seed} | dict(factors or {})
        key = sha256(json.dumps([choices, factors], sort_keys=True).encode()).hexdigest()[:16]
        summary = dict(summary or {})
        own = {
            "status": status,
            "step": 100,
            "diverged_step": 7 if status == "diverged" else None,
            "error": "Traceback\nValueError: no good" if status == "failed" else None,
            "summary": summary,
            "metrics": {name: asdict(METRICS[name]) for name in summary if name in METRICS},
        } | fields
        own["provenance"] = {"wall_seconds": 1.5} | own.get("provenance", {})
        record = example_record(key, **own) | {"choices": choices, "factors": factors}
        (self.folder / key).mkdir(parents=True, exist_ok=True)
        (self.folder / key / "record.json").write_text(json.dumps(record))
        self.list_key(study, key)
        return key

    def list_key(self, study: str, line: str) -> None:
        """Append a line to a study's list of trials."""
        path = self.folder / "studies" / study / "keys.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(f"{line}\n")

    def measurements(self, key: str, rows: Sequence[Sequence[Any]]) -> None:
        """Write an evaluator's rows of chart, line, x, y, value."""
        lines = [",".join(["e", *("" if entry is None else str(entry) for entry in row)]) for row in rows]
        self.write(key, "measurements.csv", "\n".join(["evaluator,chart,line,x,y,value", *lines]) + "\n")

    def write(self, key: str, name: str, text: str) -> None:
        """Write a file of a trial as it stands."""
        (self.folder / key / name).write_bytes(text.encode())

    def picture(self, key: str, mode: str = "L", name: str = "samples.png") -> None:
        """Write a trial's grid of samples, or another picture."""
        Image.new(mode, (30, 20)).save(self.folder / key / name)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs")


def fill_study(
    runs: Runs,
    study: str = "s",
    *,
    effect: float,
    num_seeds: int = 5,
    noise: float = 0.01,
    series: bool = False,
    seed: int = 0,
    depths: Sequence[int] = (4, 8, 16),
    long_skips: Sequence[str] = ("none", "concat"),
) -> Runs:
    """Fill a study: both arms, two long skips, three depths; the plain arm loses `effect` skill per doubling."""
    generator = np.random.default_rng(seed)
    for trial_seed in range(num_seeds):
        for long_skip in long_skips:
            for depth in depths:
                for arm in ("plain", "identity"):
                    loss = effect * np.log2(depth / 4) if arm == "plain" else 0.0
                    skill = 0.8 - loss + noise * generator.standard_normal()
                    key = runs.trial(
                        study,
                        seed=trial_seed,
                        choices={"connection": arm, "long_skip": long_skip},
                        factors={"depth": depth},
                        summary={
                            "skill_train": skill,
                            "loss_val": 1.0 - skill,
                            "frechet_distance": float(100 * np.exp(loss + noise * generator.standard_normal())),
                            "loss_zero": 1.0,
                            "loss_affine": 0.3,
                        },
                        charts=CHARTS if series else {},
                    )
                    if series:
                        write_series(runs, key, depth, generator)
    return runs


@pytest.fixture
def fill(runs: Runs) -> Callable[..., Runs]:
    """fill(effect=...): fill_study in the test's own folder."""
    return partial(fill_study, runs)


@pytest.fixture(scope="session")
def with_series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of a study s of two seeds with a chart of every kind, to be read and never changed."""
    runs = Runs(tmp_path_factory.mktemp("series"))
    return fill_study(runs, effect=0.1, num_seeds=2, series=True, depths=(4, 16)).folder


@pytest.fixture(scope="session")
def whole_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a study with every kind of part, to be read and never changed."""
    runs = Runs(tmp_path_factory.mktemp("whole"))
    fill_study(runs, effect=0.15, num_seeds=3, series=True, depths=(4, 16))
    for key in read_study("s", runs.folder).trials["key"]:
        runs.picture(key)
    runs.trial(seed=7, choices={"long_skip": "none"}, status="failed")
    (runs.folder / "claims.yaml").write_text(CLAIMS)
    return write_report(read_study("s", runs.folder), read_claims(runs.folder / "claims.yaml"))


def write_series(runs: Runs, key: str, depth: int, generator: np.random.Generator) -> None:
    """A history that falls, readings of `depth` layers and blocks, and values for each kind of chart."""
    losses = 1 / (1 + np.arange(30)) * np.exp(0.1 * generator.standard_normal(30))
    history = [f"{step},loss,{loss}" for step, loss in enumerate(losses)]
    runs.write(key, "history.csv", "\n".join(["step,metric,value", *history]) + "\n")
    layers = [
        f"{step},{index},{path},{quantity},{0.1 * (index + 1) * np.exp(0.1 * generator.standard_normal())}"
        for step in (0, 10)
        for index in range(depth)
        for path, quantity in (
            (f"stages.0.joins.{index}.branch.conv", "weight_gradient_norm"),
            (f"block.{index}", "block_update_ratio"),
        )
    ]
    runs.write(key, "layers.csv", "\n".join(["step,index,path,quantity,value", *layers]) + "\n")
    lines = [("error_by_noise", line, x, None, x + generator.random()) for line in ("fine", "coarse") for x in (0.1, 1)]
    bars = [("share_of_scales", "", x, None, generator.random()) for x in range(3)]
    surface = [("landscape", "", x, y, 1 + x**2 + y**2) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0)]
    runs.measurements(key, [*lines, *bars, *surface])


@pytest.fixture
def add_series(runs: Runs) -> Callable[[str, int, np.random.Generator], None]:
    """Write the series of a trial: its key, its depth, what draws the numbers."""
    return partial(write_series, runs)


@pytest.fixture
def claims_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str = CLAIMS) -> Path:
        path = tmp_path / "claims.yaml"
        path.write_text(text)
        return path

    return write
