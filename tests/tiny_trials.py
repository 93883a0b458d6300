"""The smallest trials: how tests compose a configuration and run it in process."""

import pickle
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from option_files import CONF
from skiplab.records.record import Record

# Every part of a trial, in about a fifth of a second.
TINY = (
    "logger=none",
    "width=8",
    "norm.num_groups=4",  # two channels a group: one alone would lose the conditioning
    "depth=4",
    "batch_size=16",
    "trainer.max_steps=6",
    "eval_batch.num_images=16",
    "eval_batch.num_levels=2",
    "num_samples=32",
    "evaluator=[denoising_loss]",
    "run.checkpoint_every_steps=2",
    "run.log_every_steps=2",
)


class Composed(NamedTuple):
    """A configuration without Hydra's own node, and the option chosen on each axis."""

    config: DictConfig
    choices: dict[str, str]


class Trial(NamedTuple):
    """A trial that was run: what run_trial returned, its record, what it was composed of."""

    outcome: Any
    record: Record
    composed: Composed


def compose_config(*overrides: str) -> Composed:
    """Composed once per process; each caller gets a copy of its own, by pickle, which is six times as fast."""
    return pickle.loads(_compose(overrides))


@cache
def _compose(overrides: tuple[str, ...]) -> bytes:
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        whole = compose("train", overrides=list(overrides), return_hydra_config=True)
    OmegaConf.set_struct(whole, None)
    hydra = whole.pop("hydra")
    choices = {axis: option for axis, option in hydra.runtime.choices.items() if axis in whole}
    return pickle.dumps(Composed(whole, choices))


def run_composed(composed: Composed, runs_dir: Path) -> Trial:
    from skiplab.records.key import trial_key
    from skiplab.training.trial import run_trial

    composed.config.run.runs_dir = str(runs_dir)
    outcome = run_trial(composed.config, composed.choices, progress=False)
    return Trial(outcome, Record(runs_dir, trial_key(composed.config)), composed)


def run_tiny(runs_dir: Path, *overrides: str) -> Trial:
    return run_composed(compose_config(*TINY, *overrides), runs_dir)


def network(config: DictConfig, data: Any = None) -> Any:
    """The network that a configuration describes, at its initial weights."""
    from skiplab.training.build import build_data, build_model, build_objective

    data = data or build_data(config)
    return build_model(config, data, build_objective(config, data))
