"""The trials of a sweep, and their check before any of them is launched."""

import os
import pickle
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from skiplab.configuration.containers import pop_hydra
from skiplab.errors import SkiplabError
from skiplab.records.key import at_seed, is_literal, key_of, outcome_config
from skiplab.records.record import Record
from skiplab.records.statuses import FINISHED
from skiplab.training.plan import Plan


class Job:
    """One trial of a sweep.

    Args:
        overrides: those that make it from the configuration of the sweep.
        config: its configuration, without Hydra's node.
        choices: the option of each axis.
    """

    def __init__(self, overrides: Sequence[str], config: DictConfig, choices: dict[str, str]) -> None:
        self.overrides, self.config, self.choices = list(overrides), config, choices
        self._origin = self  # a trial that differs in its seed alone

    @classmethod
    def composed(cls, config: DictConfig) -> "Job":
        """The trial that Hydra composed, whose own node is removed."""
        choices = {axis: option for axis, option in config.hydra.runtime.choices.items() if axis in config}
        pop_hydra(config)
        return cls([], config, choices)

    def copy(self, overrides: Sequence[str]) -> "Job":
        """A copy of the trial, to be changed by these overrides."""
        return Job(overrides, pickle.loads(pickle.dumps(self.config)), self.choices)  # six times as fast as deepcopy

    def at_seed(self, seed: int, overrides: Sequence[str]) -> "Job":
        """The trial at another seed, which these overrides give."""
        job = self.copy(overrides)
        job.config.seed = seed
        job._origin = self._origin
        return job

    @cached_property
    def record(self) -> Record:
        return Record(Path(self.config.run.runs_dir), key_of(self._outcome))

    @cached_property
    def _outcome(self) -> dict[str, Any]:
        """What its key is made of; worked out once for all seeds, where no other setting depends on the seed."""
        known = None if self._origin is self else self._origin._outcome_at(self.config.seed)
        return known or outcome_config(self.config)

    def _outcome_at(self, seed: object) -> dict[str, Any] | None:
        """The same at another seed; None if this trial can't tell."""
        return at_seed(self._outcome, seed) if self._is_literal else None

    @cached_property
    def _is_literal(self) -> bool:
        return is_literal(self.config)

    @cached_property
    def _plan(self) -> Plan:
        return Plan.of(self.config, self.record.folder)

    @property
    def cost(self) -> float:
        """Blocks times channels times steps, to order trials and estimate the remaining time."""
        return work(self.config.depth, self.config.width, self.config.trainer.max_steps)

    @cached_property
    def kind(self) -> str:
        """The same for trials that differ only in their seed, which cost the same and are valid or invalid together."""
        return key_of(self._origin._outcome_at(0) or self.at_seed(0, self.overrides)._outcome)

    @property
    def left(self) -> bool:
        """Whether there is anything left to do."""
        content = self.record.read_if_any()
        if content is None or self.config.run.rerun:
            return True
        return not self._plan.is_complete(content)

    @property
    def trained(self) -> bool:
        """Whether its training is finished, so that only evaluators can be left."""
        return not self.config.run.rerun and self.record.status in FINISHED

    @property
    def failed(self) -> bool:
        """Whether it ended in an error and won't be retried."""
        is_retried = self.config.run.rerun or self.config.run.retry_failed
        return not is_retried and self.record.status == "failed"


def work(depth: float, width: float, max_steps: float) -> float:
    """What the training time is roughly proportional to."""
    return float(depth * width * max_steps)


def distinct_overrides(jobs: Sequence[Job]) -> dict[Job, str]:
    """The overrides of each trial that not all of them share."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if jobs else set()
    return {job: " ".join(word for word in job.overrides if word not in common) for job in jobs}


def check(jobs: Sequence[Job], run: Callable[[Callable[[Job], None], list[Job]], Any], *, elsewhere: bool) -> None:
    """Build one trial of each kind, so that an invalid one is refused before anything is trained.

    Args:
        jobs: the trials that will be trained.
        run: calls a function with each item of a list, like `map`.
        elsewhere: whether they will be trained on other machines, whose devices are unknown here.

    Raises:
        SkiplabError: names an invalid trial and the reason.
    """
    kinds: dict[str, Job] = {}
    for job in jobs:
        kinds.setdefault(job.kind, job)
    list(run(partial(_build, elsewhere=elsewhere), list(kinds.values())))


def _build(job: Job, *, elsewhere: bool) -> None:
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # the default check would keep forked processes from using GPUs
    from skiplab.training.build import build
    from skiplab.training.machine import check_machine

    try:
        build(job.config)
        if not elsewhere:
            check_machine(job.config)
    except SkiplabError as error:
        raise SkiplabError(f"{error} (trial {' '.join(job.overrides)}; nothing was trained)") from None
