"""The names of the files that trials and studies leave, and the columns of their tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# In the folder of a trial, runs/KEY.
RECORD = "record.json"
CONFIG = "config.yaml"
WEIGHTS = "weights.safetensors"
SAMPLES = "samples.png"
REAL_IMAGES = "real_images.png"
LOCK = "lock"
CHECKPOINTS = "checkpoints"

# In the folder of a study, runs/studies/NAME.
KEYS = "keys.txt"
TUNED = "tuned.yaml"
CLAIMS = "claims.yaml"
REGISTRATIONS = "claims.json"
DATA = "data.json"

# In the folder of all trials, runs.
STUDIES = "studies"
REPLACED = "replaced"

ColumnType = Literal["int64", "float64", "str"]


@dataclass(frozen=True)
class Table:
    """A table of a trial.

    file: its name in the trial's folder.
    types: the type of each column, by name.
    identity: the columns that say what a row measures; of several rows that agree in them the last counts.
    """

    file: str
    types: Mapping[str, ColumnType]
    identity: tuple[str, ...]

    @property
    def name(self) -> str:
        return Path(self.file).stem

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.types)


HISTORY = Table(
    "history.csv",
    {"step": "int64", "metric": "str", "value": "float64"},
    identity=("step", "metric"),
)
LAYERS = Table(
    "layers.csv",
    {"step": "int64", "index": "int64", "path": "str", "quantity": "str", "value": "float64"},
    identity=("step", "path", "quantity"),
)
MEASUREMENTS = Table(
    "measurements.csv",
    {"evaluator": "str", "chart": "str", "line": "str", "x": "float64", "y": "float64", "value": "float64"},
    identity=("evaluator", "chart", "line", "x", "y"),
)

# A diverged trial has no weights.
TRAINING_FILES = (HISTORY.file, LAYERS.file, WEIGHTS)
EVALUATION_FILES = (MEASUREMENTS.file, SAMPLES, REAL_IMAGES)
# What W&B gets a copy of: all that the analysis reads.
COPIED_FILES = (CONFIG, HISTORY.file, LAYERS.file, MEASUREMENTS.file, SAMPLES, REAL_IMAGES, RECORD)
