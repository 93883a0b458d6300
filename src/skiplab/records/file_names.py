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
PUBLISHED = "published"

# In the folder of all trials, runs.
STUDIES = "studies"
REPLACED = "replaced"

ColumnType = Literal["int64", "float64", "str"]


@dataclass(frozen=True)
class Table:
    """A table of a trial.

    file: its name in the trial's folder.
    holds: what its rows are.
    types: the type of each column, by name.
    identity: the columns that say what a row measures; of several rows that agree in them the last counts.
    """

    file: str
    holds: str
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
    "a row a logged value: step, metric, value",
    {"step": "int64", "metric": "str", "value": "float64"},
    identity=("step", "metric"),
)
LAYERS = Table(
    "layers.csv",
    "a row a reading of an instrument: the step, and the place in the network at which a quantity was read",
    {"step": "int64", "index": "int64", "path": "str", "quantity": "str", "value": "float64"},
    identity=("step", "path", "quantity"),
)
MEASUREMENTS = Table(
    "measurements.csv",
    "a row a point of an evaluator's figure",
    {"evaluator": "str", "chart": "str", "line": "str", "x": "float64", "y": "float64", "value": "float64"},
    identity=("evaluator", "chart", "line", "x", "y"),
)

# A diverged trial has no weights.
TRAINING_FILES = (HISTORY.file, LAYERS.file, WEIGHTS)
EVALUATION_FILES = (MEASUREMENTS.file, SAMPLES, REAL_IMAGES)
# What W&B gets a copy of: all that the analysis reads.
COPIED_FILES = (CONFIG, HISTORY.file, LAYERS.file, MEASUREMENTS.file, SAMPLES, REAL_IMAGES, RECORD)

TRIAL_FILES = {
    RECORD: "status, settings, metrics and provenance; replaced whole at each change",
    CONFIG: "the composed configuration",
    **{table.file: table.holds for table in (HISTORY, LAYERS, MEASUREMENTS)},
    WEIGHTS: "the trained weights; a diverged trial has none",
    SAMPLES: "a grid of samples, where `sample_grid` drew it; other pictures are listed in the record",
    REAL_IMAGES: "a grid of images of the data set, drawn beside the samples",
    CHECKPOINTS: "what an interrupted trial resumes from",
    LOCK: "which process holds the trial",
}
STUDY_FILES = {
    KEYS: "the keys of the study's trials",
    CLAIMS: "a copy of the registered claims file",
    REGISTRATIONS: "where each claims file came from, its hash, and when it was registered",
    DATA: "what the files at each path held",
    TUNED: "of a tuning study, the settings that were found",
    PUBLISHED: "the tables of published trials that the study goes on from, and the settings of each",
}
