"""Weights & Biases as a view of the record: offline by default, without account, network or prompt."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import wandb
from PIL import Image
from pytorch_lightning.loggers import WandbLogger

RECORD_FILES = ("record.json", "config.yaml", "history.csv", "layers.csv", "measurements.csv", "samples.png")
_AXES = ("data", "backbone", "branch", "long_skip", "norm", "parametrisation")


def make_wandb_logger(
    key: str, choices: dict[str, str], factors: dict[str, Any], folder: Path, *, project: str, offline: bool
) -> WandbLogger:
    """One W&B run for one trial: its group is the cell, its job type the arm, to be ended by wandb.finish().

    Args:
        key: the trial's key, which becomes the run's id, so that a resumed trial continues its run (runtime).
        choices: the option chosen on each axis (runtime).
        factors: the trial's configuration as flat leaves (runtime).
        folder: the record's folder, which takes W&B's files (runtime).
        project: W&B's project.
        offline: whether runs stay on disk, to be uploaded by `wandb sync`.
    """
    arm, group = choices["connection"], cell_name(choices, factors)
    mode = "offline" if offline else "online"
    wandb.setup(wandb.Settings(mode=mode))  # for the whole process, whose telemetry heeds no run's mode
    run = wandb.init(
        id=key,
        resume="allow",
        project=project,
        group=group,
        job_type=arm,
        name=f"{arm} {group} seed={factors['seed']}",
        tags=[arm, *(choices[axis] for axis in _AXES)],
        config={"axis": choices, **factors},
        dir=folder,
        mode=mode,
        # reading the requirements of every installed package takes longer than the rest; the record has the versions
        settings=wandb.Settings(
            silent=True, console="off", x_disable_stats=True, disable_git=True, x_save_requirements=False
        ),
    )
    return WandbLogger(experiment=run)


def attach_record(logger: WandbLogger, folder: Path) -> None:
    """Put the record's tables among the run's files, from which `skiplab wandb-import` brings the trial back."""
    for path in (folder / name for name in RECORD_FILES):
        if path.exists():
            logger.experiment.save(path, base_path=folder, policy="now")


def cell_name(choices: dict[str, str], factors: dict[str, Any]) -> str:
    """A readable name of everything but connection and seed; the digits tell cells apart that read alike."""
    rest = {name: value for name, value in factors.items() if name != "seed" and not name.startswith("connection")}
    others = {axis: option for axis, option in choices.items() if axis != "connection"}
    digits = hashlib.sha256(json.dumps([others, rest], sort_keys=True).encode()).hexdigest()[:4]
    named = " ".join(choices[axis] if axis != "long_skip" else f"long_skip={choices[axis]}" for axis in _AXES)
    return f"{named} depth={factors['depth']} width={factors['width']} {digits}"


def log_outcome(
    logger: WandbLogger | None,
    summary: dict[str, float],
    pictures: dict[str, Image.Image],
    measurements: pd.DataFrame,
    readings: pd.DataFrame,
) -> None:
    """Add the summary, the pictures, the charts' values and a chart of gradient norm by layer to the trial's run."""
    if logger is None:
        return
    run = logger.experiment
    run.summary.update(summary)
    run.log({stem: wandb.Image(picture) for stem, picture in pictures.items()})
    run.log({f"measurements/{name}": wandb.Table(dataframe=rows) for name, rows in measurements.groupby("evaluator")})
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
    run.log({"gradient_norm_by_layer": chart})
