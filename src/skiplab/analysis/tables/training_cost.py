"""What each trial's training costs, and its training loss at a cost."""

import math

import numpy as np
import pandas as pd

from skiplab.analysis.frames import column
from skiplab.analysis.study.cached_per_study import cached_per_study
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import exponential

_PASSES = 3  # a step's cost in forward passes: one forward, and a backward that costs two
_WINDOW = 1 / 20  # of the steps of a training, over which a running loss is averaged


def training_costs(study: Study) -> pd.DataFrame:
    """The cost of each trial's full training, a row a trial: `flops`, `flops_per_step` and `seconds`.

        flops = 3 * flops_per_sample * batch_size * steps

    Seconds are the trial's wall time, evaluation included; the machine's other work makes them noisy. A trial that
    diverged or was stopped counts with all of its planned steps, and has no seconds.
    """
    found = map(study.settings_of, study.trials["key"])
    settings = [each["factors"] if each else {} for each in found]
    batch = pd.Series([each.get("batch_size") for each in settings], index=study.trials.index, dtype=float)
    planned = [each.get("trainer.max_steps") for each in settings]
    steps = pd.Series(planned, index=study.trials.index, dtype=float).fillna(study.trials["step"])
    per_step = _PASSES * column(study.trials, "flops_per_sample") * batch
    seconds = column(study.trials, "wall_seconds").where(study.trials["status"] == "done")
    return pd.DataFrame({"flops": per_step * steps, "flops_per_step": per_step, "seconds": seconds})


def training_losses(study: Study) -> pd.DataFrame:
    """The training loss of each step where it is a number above 0: key, step, value."""
    losses = study.losses
    return losses.loc[np.isfinite(losses["value"]) & (losses["value"] > 0)]


@cached_per_study
def _curves(study: Study) -> dict[str, pd.DataFrame]:
    """The rows of `training_losses` of each trial."""
    return {str(key): own for key, own in training_losses(study).groupby("key", sort=False)}


def losses_at(study: Study, costs: pd.DataFrame, budget: float) -> pd.Series:
    """The logarithm of each trial's training loss when it has cost `budget` FLOPs, or at its end if it costs less.

    The loss is the mean over the last steps before that, a twentieth of the training's. A diverged trial counts with
    the loss of its first step, as a network that has learned nothing; one that hasn't ended has none.

    Args:
        study: the study.
        costs: rows of `training_costs`, with the study's index.
        budget: in FLOPs.
    """
    curves = _curves(study)
    found = {}
    trials = study.trials.loc[costs.index]
    rows = zip(costs.index, trials["key"], trials["status"], costs["flops_per_step"], strict=True)
    for index, key, status, per_step in rows:
        if key not in curves or status not in ("done", "diverged"):
            continue
        if status == "diverged":
            found[index] = float(np.log(column(curves[key], "value").iloc[0]))
            continue
        steps = math.floor(budget / per_step * (1 + 1e-9))
        values = column(curves[key].loc[curves[key]["step"] < steps], "value")
        if len(values):
            found[index] = float(np.log(values.iloc[-max(1, int(len(curves[key]) * _WINDOW)) :].mean()))
    return pd.Series(found, index=costs.index, dtype=float)


def last_falls(study: Study) -> pd.Series:
    """The fraction by which each trial's training loss fell over the last fifth of its steps, by a line through them.

    fall = 1 - exp(slope of log loss against step, least squares, times the number of steps)
    """
    found = {}
    for key, own in _curves(study).items():
        late = own.loc[own["step"] >= 0.8 * (own["step"].max() + 1)]
        if len(late) >= 5:
            slope = np.polyfit(late["step"], np.log(late["value"]), 1)[0]
            found[key] = 1 - exponential(float(slope) * len(late))
    return pd.Series([found.get(key, math.nan) for key in study.trials["key"]], index=study.trials.index, dtype=float)
