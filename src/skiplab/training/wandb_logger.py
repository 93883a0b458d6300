"""Weights & Biases as a view of the record: offline by default, without account, network or prompt."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import wandb
from PIL import Image
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from skiplab.records.file_names import COPIED_FILES
from skiplab.training.wandb_settings import of_this_run_alone, run_mode

_AXES = ("data", "backbone", "branch", "long_skip", "norm", "prediction")
_LONGEST_TAG, _LONGEST_NAME = 64, 128  # W&B takes no longer ones


class StepLogger(WandbLogger):
    """W&B's `_step` is the training step, which Lightning's own logger leaves to the number of calls."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.experiment.log(dict(metrics), step=step)


def make_wandb_logger(
    key: str, study: str, choices: dict[str, str], factors: dict[str, Any], folder: Path, *, project: str, offline: bool
) -> StepLogger | None:
    """One W&B run for one trial: its group is the study's cell, its job type the arm; to be ended by `end_run`.

    None where WANDB_MODE disables W&B. What of a run the environment may say, `wandb_settings` says.

    Args:
        key: the trial's key, which becomes the run's id, so that a resumed trial continues its run (runtime).
        study: for which the trial is trained (runtime).
        choices: the option chosen on each axis (runtime).
        factors: the trial's configuration as flat leaves (runtime).
        folder: the record's folder, which takes W&B's files (runtime).
        project: W&B's project.
        offline: whether runs stay on disk, to be uploaded by `wandb sync`.
    """
    mode = run_mode(offline)
    if mode == "disabled":
        return None
    arm, cell = choices["connection"], cell_name(choices, factors)
    tags = (f"study={study}", arm, *(choices[axis] for axis in _AXES))
    with of_this_run_alone(mode):
        run = wandb.init(
            id=key,
            resume="allow",
            reinit="create_new",  # not a run that the user's own code has begun
            project=project,
            group=_cut(f"{study}: {cell}", _LONGEST_NAME),
            job_type=_cut(arm, _LONGEST_TAG),
            name=_cut(f"{arm} {cell} seed={factors['seed']}", _LONGEST_NAME),
            tags=list(dict.fromkeys(_cut(tag, _LONGEST_TAG) for tag in tags)),
            config={"study": study, "axis": choices, **factors},
            dir=folder.absolute(),  # the process of W&B may have been started in another folder
            mode=mode,
            # reading the requirements of every installed package takes longer than the rest; the record has them
            settings=wandb.Settings(
                silent=True, console="off", x_disable_stats=True, disable_git=True, x_save_requirements=False
            ),
        )
    return StepLogger(experiment=run)


def end_run(logger: WandbLogger, folder: Path) -> None:
    """End a run, the record's tables among its files: `skiplab wandb-import` brings the trial back from them."""
    try:
        for path in (folder / name for name in COPIED_FILES):
            if path.exists():
                logger.experiment.save(path, base_path=folder, policy="now")
    finally:
        logger.experiment.finish()


def _cut(text: str, longest: int) -> str:
    """A text that W&B takes; digits tell apart what was cut."""
    return text if len(text) <= longest else f"{text[: longest - 9]} {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def cell_name(choices: dict[str, str], factors: dict[str, Any]) -> str:
    """A readable name of everything but connection and seed; the digits tell cells apart that read alike."""
    rest = {name: value for name, value in factors.items() if name != "seed" and not name.startswith("connection")}
    others = {axis: option for axis, option in choices.items() if axis != "connection"}
    digits = hashlib.sha256(json.dumps([others, rest], sort_keys=True).encode()).hexdigest()[:4]
    named = " ".join(choices[axis] if axis != "long_skip" else f"long_skip={choices[axis]}" for axis in _AXES)
    return f"{named} depth={factors['depth']} width={factors['width']} {digits}"


def log_outcome(
    logger: WandbLogger | None,
    step: int,
    summary: Mapping[str, float | None],
    pictures: dict[str, Image.Image],
    measurements: pd.DataFrame,
    readings: pd.DataFrame,
) -> None:
    """Add the summary, the pictures, the charts' values and a chart of gradient norm by layer to the trial's run.

    They stand at the step that the weights have reached; behind all that was logged where a run is gone on with, since
    W&B takes no step again.
    """
    if logger is None:
        return
    run = logger.experiment
    step = max(step, run.step)
    run.summary.update(summary)
    found = {stem: wandb.Image(picture) for stem, picture in pictures.items()}
    found |= {f"measurements/{name}": wandb.Table(dataframe=rows) for name, rows in measurements.groupby("evaluator")}
    run.log(found, step=step)
    norms = readings[readings["quantity"] == "weight_gradient_norm"]
    if norms.empty:
        return
    steps = sorted(norms["step"].unique())
    shown = [steps[round(share * (len(steps) - 1))] for share in (0, 0.25, 0.5, 1)]
    lines = {step: norms[norms["step"] == step].sort_values("index") for step in dict.fromkeys(shown)}
    chart = wandb.plot.line_series(
        xs=[line["index"].tolist() for line in lines.values()],
        ys=[line["value"].tolist() for line in lines.values()],
        keys=[f"step {step}" for step in lines],
        title="Weight gradient norm by layer",
        xname="layer, from input to output",
    )
    run.log({"gradient_norm_by_layer": chart}, step=step)
