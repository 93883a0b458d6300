"""Searches of `skiplab tune` over trials that cost nothing and have a planted skill."""

import csv
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hydra.core.plugins import Plugins

from example_records import write_example
from hydra_plugins import skiplab_sweeper
from skiplab.cli import main
from skiplab.evaluators.denoising_loss import DenoisingLoss
from skiplab.records.key import factors, trial_key
from skiplab.sweeps import rounds
from skiplab.training import trial
from skiplab.training.plan import Plan
from timed_steps import time_one_step
from tiny_trials import TINY

CLIP = "trainer.gradient_clip_norm"
PRESET, STUDY = "residual_in_diffusion/quick", "residual_in_diffusion_quick"
GRID = ("depth=4", "long_skip=none")
TUNING = Path("studies") / f"{STUDY}_tuning"
BEST = {"plain": 0.00063, "identity": 0.002}  # where the planted curves have their tops


def skill(arm: str, lr: float, clip: float | None = None) -> float:
    """A parabola over the logarithm of the rate; clipping helps plain networks."""
    distance = math.log10(lr / BEST.get(arm, 0.002))
    return max(0.0, 0.8 - 0.4 * distance**2 - (0.1 if arm == "plain" and clip is None else 0.0))


def gain(own: Mapping[str, Any]) -> float:
    """What the options and settings that a trial has add to its skill."""
    return sum(amount for words, amount in GAINS.items() if words <= {f"{name}={own[name]}" for name in own})


# What is good for an arm, by its options and settings.
GAINS = {
    frozenset({"connection=plain", "init=looks_linear"}): 0.05,
    frozenset({"connection=identity", "init=fixup"}): 0.03,
    frozenset({"connection=scaled_half", "connection.update_factor=0.25"}): 0.02,
    frozenset({"scheduler.warmup_steps=3"}): 0.01,
    frozenset({"optimizer.betas=[0.9, 0.95]"}): 0.01,
}


# Arm, rate and seed of trials that learn nothing.
COLLAPSED: set[tuple[str, float, int]] = set()


def plant(monkeypatch) -> list[str]:
    Plugins.instance()  # executes the sweeper's module, which would undo what is set there
    trained = []

    def run(config, choices, *, progress=False):
        value = skill(choices["connection"], config.optimizer.lr, config.trainer.gradient_clip_norm)
        value += gain({**factors(config), **choices})
        value += 0.001 * (config.seed % 2)
        if (choices["connection"], config.optimizer.lr, config.seed) in COLLAPSED:
            value = 0.0
        diverged = config.optimizer.lr > 0.3
        record = write_example(
            Path(config.run.runs_dir),
            trial_key(config),
            status="diverged" if diverged else "done",
            choices=dict(choices),
            factors=factors(config),
            summary={} if diverged else {"skill_train": value},
            metrics={"skill_train": asdict(DenoisingLoss.metrics["skill_train"])},
            step=1,
            diverged_step=1 if diverged else None,
            provenance={"wall_seconds": 1.0},
        )
        trained.append(record.key)
        return trial.Outcome(record.key, "done", "trained", "")

    def train(launcher, jobs):
        for job in jobs:
            run(job.config, job.choices)
        return {}

    time_one_step(monkeypatch)
    monkeypatch.setattr(trial, "run_trial", run)
    monkeypatch.setattr(skiplab_sweeper, "train", train)
    monkeypatch.setattr(Plan, "is_complete", lambda plan, content: bool(content))
    monkeypatch.setattr(skiplab_sweeper, "check", lambda *_, **__: None)
    return trained


def launch(monkeypatch) -> None:
    """Let Hydra's launcher compose each trial again from its overrides, as in earnest; slower."""
    monkeypatch.setattr(skiplab_sweeper, "train", rounds.train)


def tune(runs_dir: Path, *words: str) -> Path:
    main(["tune", PRESET, *TINY, "hydra/launcher=basic", f"run.runs_dir={runs_dir}", *GRID, *words])
    return runs_dir / "studies" / f"{STUDY}_tuning"


def confirm(runs_dir: Path, *words: str) -> Path:
    main(["confirm", str(runs_dir / TUNING / "tuned.yaml"), f"run.runs_dir={runs_dir}", *words])
    return runs_dir / TUNING


def sweep(runs_dir: Path, *words: str) -> None:
    own = [word for word in TINY if not word.startswith("evaluator")]
    folder = f"run.runs_dir={runs_dir}"
    main(["train", "-m", f"experiment={PRESET}", *own, "hydra/launcher=basic", folder, *GRID, *words])


def refused(capsys, act, *words) -> str:
    with pytest.raises(SystemExit) as ended:
        act(*words)
    assert ended.value.code == 1
    return capsys.readouterr().err


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "tuning.csv").open() as file:
        return list(csv.DictReader(file))
