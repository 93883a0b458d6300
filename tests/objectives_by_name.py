"""Denoising objectives made of options by their names, whatever else a trial would need."""

from functools import cache
from typing import Any

from hydra.utils import instantiate

from skiplab.objectives.denoising import Denoising
from tiny_trials import compose_config


@cache
def made(axis: str, option: str) -> Any:
    """An option at the defaults of its YAML."""
    return instantiate(compose_config(f"{axis}={option}").config[axis])


def denoising(
    prediction: str = "epsilon",
    *,
    loss_weighting: str = "uniform",
    noise_schedule: str = "cosine",
    conditioning: str = "none",
    num_classes: int = 1,
) -> Denoising:
    return Denoising(
        num_classes,
        prediction=made("prediction", prediction),
        loss_weighting=made("loss_weighting", loss_weighting),
        noise_schedule=made("noise_schedule", noise_schedule),
        conditioning=made("conditioning", conditioning),
    )
