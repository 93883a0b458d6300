"""The trials of a sweep: checked before any of them is launched, reported when all have ended."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from skiplab.errors import SkiplabError
from skiplab.training.key import trial_key
from skiplab.training.plan import nothing_left
from skiplab.training.record import Record


class Job(NamedTuple):
    """One trial of a sweep."""

    overrides: list[str]
    config: DictConfig
    record: Record

    @classmethod
    def of(cls, overrides: list[str], config: DictConfig) -> "Job":
        config = OmegaConf.masked_copy(config, [name for name in config if name != "hydra"])
        record = Record(Path(config.run.runs_dir), trial_key(config))
        return cls(overrides, config, record)

    @property
    def cost(self) -> float:
        """Blocks times channels times steps, for order and time to go."""
        return work(self.config.depth, self.config.width, self.config.trainer.max_steps)

    @property
    def kind(self) -> str:
        """The same for trials that differ in their seed alone: what one of them costs, and may be refused for."""
        config = self.config.copy()
        config.seed = 0
        return trial_key(config)

    @property
    def left(self) -> bool:
        """Whether there is anything to do for it."""
        return self.config.run.rerun or not nothing_left(self.config, self.record.read())


def work(depth: int, width: int, max_steps: int) -> float:
    """What a trial's time is about proportional to."""
    return float(depth * width * max_steps)


def check(jobs: Sequence[Job]) -> None:
    """Build each kind of trial once, so that what can't work is refused before anything is trained."""
    from skiplab.training.build import build

    kinds: set[str] = set()
    for job in jobs:
        if job.kind not in kinds:
            kinds.add(job.kind)
            try:
                build(job.config)
            except SkiplabError as error:
                raise SkiplabError(f"{error}\n(trial {' '.join(job.overrides)}; nothing was trained)") from None


def report(jobs: Sequence[Job], returns: Sequence[JobReturn]) -> None:
    """One line for what was trained; an error that lists the trials that failed."""
    failed = [
        f"  {' '.join(job.overrides)}: {result._return_value}"
        for job, result in zip(jobs, returns, strict=True)
        if result.status != JobStatus.COMPLETED
    ]
    diverged = [job for job in jobs if job.record.read().get("status") == "diverged"]
    print(f"{len(jobs) - len(failed)} trials finished ({len(diverged)} diverged), {len(failed)} failed")
    if failed:
        raise SkiplabError("\n".join([f"{len(failed)} of {len(jobs)} trials failed:", *failed]))
