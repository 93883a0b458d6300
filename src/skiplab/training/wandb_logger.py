"""Logs a trial to Weights & Biases: offline by default, without account, network or prompt."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wandb
from PIL import Image
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from skiplab.records.file_names import COPIED_FILES
from skiplab.training.wandb_settings import of_this_run_alone, run_mode

if TYPE_CHECKING:
    import pandas as pd

_AXES = ("data", "backbone", "branch", "long_skip", "norm", "prediction")
_LONGEST_TAG, _LONGEST_NAME = 64, 128  # W&B refuses longer ones


class StepLogger(WandbLogger):
    """Logs with the training step as W&B's `_step`, where Lightning's own logger counts calls."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.experiment.log(dict(metrics), step=step)


def make_wandb_logger(
    key: str, study: str, choices: dict[str, str], factors: dict[str, Any], folder: Path, *, project: str, offline: bool
) -> StepLogger | None:
    """Start the W&B run of a trial; `end_run` ends it. None if WANDB_MODE disables W&B.

    Its group is the study's cell, its job type is the arm. See `wandb_settings` for what the environment may change.

    Args:
        key: the trial's key and the run's id, so that a resumed trial continues its run (runtime).
        study: the study that the trial is trained for (runtime).
        choices: the option of each axis (runtime).
        factors: the trial's configuration as flat leaves (runtime).
        folder: the record's folder, where W&B writes its files (runtime).
        project: W&B's project.
        offline: whether runs stay on disk until `wandb sync` uploads them.
    """
    mode = run_mode(offline)
    if mode == "disabled":
        return None
    arm, cell = choices.get("connection", study), cell_name(choices, factors)  # a LightningModule has no axes
    tags = (f"study={study}", arm, *(choices[axis] for axis in _AXES if axis in choices))
    with of_this_run_alone(mode):
        run = wandb.init(
            id=key,
            resume="allow",
            reinit="create_new",  # not a run that the user's own code has started
            project=project,
            group=_cut(f"{study}: {cell}", _LONGEST_NAME),
            job_type=_cut(arm, _LONGEST_TAG),
            name=_cut(f"{arm} {cell} seed={factors['seed']}", _LONGEST_NAME),
            tags=list(dict.fromkeys(_cut(tag, _LONGEST_TAG) for tag in tags)),
            config={"study": study, "axis": choices, **factors},
            dir=folder.absolute(),  # W&B's process may have started in another folder
            mode=mode,
            # the record has what a reader needs of code and machine; a command line, folders and the name of a machine
            # are nobody's business
            settings=wandb.Settings(
                silent=True,
                console="off",
                x_disable_stats=True,
                x_disable_meta=True,
                x_disable_machine_info=True,
                host="",
                disable_git=True,
                x_save_requirements=False,
            ),
        )
    return StepLogger(experiment=run)


def end_run(logger: WandbLogger, folder: Path) -> None:
    """End a run after adding the record's files, from which `skiplab wandb-import` restores the trial."""
    try:
        for path in (folder / name for name in COPIED_FILES):
            if path.exists():
                logger.experiment.save(path, base_path=folder, policy="now")
    finally:
        logger.experiment.finish()
        shutil.rmtree(_tables_folder(logger.experiment), ignore_errors=True)


def _tables_folder(run: wandb.Run) -> Path:
    """Where the files of its tables wait until W&B has copied them."""
    return Path(run.dir).with_name("tables")


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Else W&B would keep them elsewhere until Python ends, and forever in a forked process, which ends otherwise."""
    folder.mkdir(exist_ok=True)
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _cut(text: str, longest: int) -> str:
    """A text that is short enough for W&B; digits distinguish texts that were cut."""
    return text if len(text) <= longest else f"{text[: longest - 9]} {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def cell_name(choices: dict[str, str], factors: dict[str, Any]) -> str:
    """A readable name of all settings but connection and seed; digits distinguish cells with the same words."""
    rest = {name: value for name, value in factors.items() if name != "seed" and not name.startswith("connection")}
    others = {axis: option for axis, option in choices.items() if axis != "connection"}
    digits = hashlib.sha256(json.dumps([others, rest], sort_keys=True).encode()).hexdigest()[:4]
    shown = {axis: choices[axis] for axis in ("module", *_AXES) if axis in choices}
    words = [f"long_skip={option}" if axis == "long_skip" else option for axis, option in shown.items()]
    sizes = [f"{name}={factors[name]}" for name in ("depth", "width") if name in factors]
    return " ".join([*words, *sizes, digits])


def log_outcome(
    logger: WandbLogger,
    step: int,
    summary: Mapping[str, float | None],
    pictures: dict[str, Image.Image],
    measurements: "pd.DataFrame",
    readings: "pd.DataFrame",
) -> None:
    """Log the summary, the pictures, the values of charts and a chart of gradient norms by layer to the trial's run.

    They are logged at the step of the final weights, or at the run's own step if that is later, since W&B accepts no
    earlier step.
    """
    run = logger.experiment
    step = max(step, run.step)
    run.summary.update(summary)
    with _temporary_files_in(_tables_folder(run)):
        found = {stem: wandb.Image(picture) for stem, picture in pictures.items()}
        found |= {
            f"measurements/{name}": wandb.Table(dataframe=rows) for name, rows in measurements.groupby("evaluator")
        }
        run.log(found, step=step)
        norms = readings.loc[readings["quantity"] == "weight_gradient_norm"]
        if not norms.empty:
            run.log({"gradient_norm_by_layer": _by_layer(norms)}, step=step)


def _by_layer(norms: "pd.DataFrame") -> Any:
    """A chart with a line for each of a few steps."""
    steps = sorted(set(norms["step"]))
    shown = [steps[round(fraction * (len(steps) - 1))] for fraction in (0, 0.25, 0.5, 1)]
    lines = {step: norms.loc[norms["step"] == step].sort_values("index") for step in dict.fromkeys(shown)}
    return wandb.plot.line_series(
        xs=[line["index"].tolist() for line in lines.values()],
        ys=[line["value"].tolist() for line in lines.values()],
        keys=[f"step {step}" for step in lines],
        title="Weight gradient norm by layer",
        xname="layer, from input to output",
    )
