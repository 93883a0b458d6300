"""Ladders of `skiplab decide` over trials that cost nothing and have a planted skill."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from signal import SIGTERM
from typing import Any, NamedTuple

import yaml
from hydra.core.plugins import Plugins

from command_line import Ended, run_command
from example_records import write_example
from hydra_plugins import skiplab_sweeper
from skiplab.errors import Interrupted
from skiplab.evaluators.denoising_loss import DenoisingLoss
from skiplab.instruments.stability import Stability
from skiplab.records.file_names import CONFIG
from skiplab.records.key import factors, trial_key
from skiplab.records.plain_config import plain
from skiplab.records.statuses import FINISHED
from skiplab.records.tuned import RATE, Combination, Tuned, Window, write_tuned
from skiplab.training.plan import Plan
from timed_steps import time_one_step
from tiny_trials import TINY

PRESET, FIRST_SEED = "residual_in_diffusion/quick", 201
GRID = ("depth=4",)
NOISE = (0.3, -1.1, 0.9, -0.4, 1.2, -0.8, 0.1, 0.6, -0.9, 0.2)  # of each seed, in standard deviations
CLAIMS = """\
factor: connection
control: plain
treatment: identity
looks: [3, 5, 10]
claims:
  - {name: better, text: t, metric: skill_train, contrast: difference, direction: higher, smallest_effect: 0.02}
"""
METRICS = DenoisingLoss.metrics | Stability.metrics


class Trained(NamedTuple):
    """A trial that was trained."""

    arm: str
    long_skip: str
    depth: int
    seed: int


class Planted:
    """What stands in for training.

    skill: the skill of a trial, by its arm, long skip, depth and number among the seeds.
    trained: every trial that was trained, in order.
    stop_after: how many may be trained before a signal ends the sweep; None for all.
    failing: trials that fail.
    seconds: what each takes.
    """

    def __init__(self, monkeypatch: Any) -> None:
        self.skill: Callable[[Trained, float], float] = lambda trial, noise: 0.5
        self.trained: list[Trained] = []
        self.stop_after: int | None = None
        self.failing: set[Trained] = set()
        self.seconds = 60.0
        self.summary: Callable[[Trained], Mapping[str, float | None]] = lambda trial: {}
        Plugins.instance()  # executes the sweeper's module, which would undo what is set there
        time_one_step(monkeypatch)
        monkeypatch.setattr(skiplab_sweeper, "train", self._train)
        monkeypatch.setattr(skiplab_sweeper, "check", lambda *_, **__: None)
        monkeypatch.setattr(Plan, "is_complete", lambda plan, content: content["status"] in FINISHED)

    def _train(self, launcher: Any, jobs: Any) -> dict[Any, str]:
        failures = {}
        for job in jobs:
            if self.stop_after is not None and len(self.trained) >= self.stop_after:
                raise Interrupted(SIGTERM)
            own = Trained(job.choices["connection"], job.choices["long_skip"], job.config.depth, job.config.seed)
            summary = {"skill_train": self.skill(own, NOISE[own.seed - FIRST_SEED]), **self.summary(own)}
            record = write_example(
                Path(job.config.run.runs_dir),
                trial_key(job.config),
                status="failed" if own in self.failing else "done",
                error="ValueError: no good" if own in self.failing else None,
                choices=dict(job.choices),
                factors=factors(job.config),
                summary=summary,
                metrics={name: asdict(METRICS[name]) for name in summary},
                step=1,
                provenance={"wall_seconds": self.seconds, "finished": "2026-01-02T00:00:00+00:00"},
            )
            # as OmegaConf does, in a tenth of the time
            text = yaml.dump(plain(job.config, resolve=False), Dumper=yaml.CSafeDumper, sort_keys=False)
            (record.folder / CONFIG).write_text(text, encoding="utf-8")
            self.trained.append(own)
            if own in self.failing:
                failures[job] = "no good"
        return failures

    def seeds(self, **levels: Any) -> list[int]:
        """The seeds at which the trials with these levels were trained, each as often as it was."""
        return sorted(t.seed for t in self.trained if all(getattr(t, name) == level for name, level in levels.items()))


def decide(folder: Path, *words: str, claims: str | None = CLAIMS, name: str = PRESET) -> Ended:
    """`skiplab decide` in a folder of its own."""
    folder.mkdir(exist_ok=True)
    own = [word for word in TINY if not word.startswith(("evaluator", "depth"))]
    given = []
    if claims is not None:
        (folder / "claims.yaml").write_text(claims, encoding="utf-8")
        given = ["--claims", str(folder / "claims.yaml")]
    grid = (*own, *GRID) if name == PRESET else ()
    return run_command(
        ["decide", name, *grid, "hydra/launcher=basic", f"run.runs_dir={folder / 'runs'}", *given, *words]
    )


def write_tuning(path: Path, seeds: tuple[int, ...]) -> Path:
    """A file of tuned settings: both arms have the same rate, which isn't the preset's."""
    window = Window(lowest=0.001, highest=0.001, at_least=False)
    combinations = tuple(
        Combination(
            factors={"connection": arm}, tried={}, best={RATE: 0.001}, value=0.5, edge="inside", window=window,
            curve={0.001: [0.5, 0.5]}, diverged=(),
        )
        for arm in ("plain", "identity")
    )  # fmt: skip
    tuned = Tuned(
        study="t", preset=PRESET, overrides=(), also=(), metric="skill_train", label="skill", direction="higher",
        seeds=seeds, rates=(0.001,), widenings=0, shared={}, combinations=combinations,
    )  # fmt: skip
    path.write_text(write_tuned(tuned), encoding="utf-8")
    return path
