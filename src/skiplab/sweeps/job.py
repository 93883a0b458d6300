"""The trials of a sweep: checked before any of them is launched."""

import os
import pickle
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from skiplab.configuration.containers import without_hydra
from skiplab.errors import SkiplabError
from skiplab.records.key import trial_key
from skiplab.records.record import FINISHED, Record
from skiplab.training.plan import nothing_left


class Job:
    """One trial of a sweep.

    Args:
        overrides: what makes it of the sweep's own configuration.
        config: its configuration, without Hydra's node.
        choices: the option chosen on each axis.
    """

    def __init__(self, overrides: Sequence[str], config: DictConfig, choices: dict[str, str]) -> None:
        self.overrides, self.config, self.choices = list(overrides), config, choices

    @classmethod
    def composed(cls, config: DictConfig) -> "Job":
        """What Hydra composed, with its own node."""
        choices = {axis: option for axis, option in config.hydra.runtime.choices.items() if axis in config}
        return cls([], without_hydra(config), choices)

    def copy(self, overrides: Sequence[str]) -> "Job":
        """The same trial, to be changed by overrides."""
        return Job(overrides, pickle.loads(pickle.dumps(self.config)), self.choices)  # six times as fast as deepcopy

    @cached_property
    def record(self) -> Record:
        return Record(Path(self.config.run.runs_dir), trial_key(self.config))

    @property
    def cost(self) -> float:
        """Blocks times channels times steps, for order and time to go."""
        return work(self.config.depth, self.config.width, self.config.trainer.max_steps)

    @cached_property
    def kind(self) -> str:
        """The same for trials that differ in their seed alone: what one of them costs, and may be refused for."""
        unseeded = self.copy(self.overrides)
        unseeded.config.seed = 0
        return trial_key(unseeded.config)

    @property
    def left(self) -> bool:
        """Whether there is anything to do for it."""
        return self.config.run.rerun or not nothing_left(self.config, self.record.read())

    @property
    def trained(self) -> bool:
        """Whether its training is over, so that it can at most lack evaluators."""
        return not self.config.run.rerun and self.record.read().get("status") in FINISHED

    @property
    def failed(self) -> bool:
        """Whether it ended in an error, and isn't asked to be tried again."""
        again = self.config.run.rerun or self.config.run.retry_failed
        return not again and self.record.read().get("status") == "failed"


def work(depth: int, width: int, max_steps: int) -> float:
    """What a trial's time is about proportional to."""
    return float(depth * width * max_steps)


def own_words(jobs: Sequence[Job]) -> dict[Job, str]:
    """The overrides of each that not all of them share."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if jobs else set()
    return {job: " ".join(word for word in job.overrides if word not in common) for job in jobs}


def check(jobs: Sequence[Job], run: Callable[[Callable[[Job], None], list[Job]], Any], *, elsewhere: bool) -> None:
    """Build each kind of trial once, so that what can't work is refused before anything is trained.

    Args:
        jobs: what is going to be trained.
        run: calls a function with every item of a list, like `map`.
        elsewhere: whether they will be trained on other machines, whose devices aren't known here.

    Raises:
        SkiplabError: names a trial that can't be built, and why.
    """
    kinds: dict[str, Job] = {}
    for job in jobs:
        kinds.setdefault(job.kind, job)
    list(run(partial(_build, elsewhere=elsewhere), list(kinds.values())))


def _build(job: Job, *, elsewhere: bool) -> None:
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # the other check would forbid GPUs to forked processes
    from skiplab.training.build import build, check_machine

    try:
        build(job.config)
        if not elsewhere:
            check_machine(job.config)
    except SkiplabError as error:
        raise SkiplabError(f"{error} (trial {' '.join(job.overrides)}; nothing was trained)") from None
