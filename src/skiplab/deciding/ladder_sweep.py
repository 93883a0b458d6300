"""The trials that the ladder may train: the points of a sweep, each at as many seeds as it needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skiplab.analysis.study.tuned_study import TUNED
from skiplab.configuration.override_text import override_text
from skiplab.records.key import factors
from skiplab.records.tuned import Tuned, read_tuned
from skiplab.sweeps.composer import Composer
from skiplab.sweeps.job import Job
from skiplab.tuning.levels import levels
from skiplab.tuning.tuned_jobs import tuned_jobs


@dataclass(frozen=True, eq=False)
class Point:
    """An arm in a cell: a trial but for its seed.

    words: the overrides that tell it apart from the sweep's other points.
    template: its trial at one seed, with the settings that were tuned for it.
    levels: its options and settings by name, as the analysis names them.
    """

    words: tuple[str, ...]
    template: Job
    levels: Mapping[str, Any]
    _jobs: dict[int, Job] = field(default_factory=dict, repr=False)

    def job(self, seed: int) -> Job:
        """Its trial at a seed."""
        if seed not in self._jobs:
            self._jobs[seed] = self.template.at_seed(seed, [*self.words, f"seed={seed}"])
        return self._jobs[seed]


@dataclass(frozen=True, eq=False)
class LadderSweep:
    """Points that one call of `skiplab train -m` can train.

    hydra_overrides: those of Hydra itself.
    shared: the overrides of all its trials.
    points: what differs.
    """

    hydra_overrides: tuple[str, ...]
    shared: tuple[str, ...]
    points: tuple[Point, ...]

    @classmethod
    def of(
        cls,
        jobs: Sequence[Job],
        composer: Composer,
        hydra_overrides: Sequence[str],
        tuned: Path | None,
        *,
        has_settings: bool = False,
    ) -> "LadderSweep":
        """The sweep of these trials.

        Args:
            jobs: the trials at any seeds.
            composer: what composed them.
            hydra_overrides: those of Hydra itself, without a file of tuned settings.
            tuned: the file of tuned settings; None for none.
            has_settings: whether the trials have these settings among their overrides already.

        Raises:
            SkiplabError: the file can't be read, or lacks a point.
        """
        unlike = list({job.kind: job for job in reversed(jobs)}.values())[::-1]
        content = read_tuned(tuned) if tuned else None
        added = None if has_settings else tuned
        found = tuned_jobs(unlike, composer, added) if added else unlike
        common = [word for word in unlike[0].overrides if all(word in job.overrides for job in unlike)]
        return cls(
            hydra_overrides=(*hydra_overrides, f"hydra.sweeper.tuned={override_text(str(added) if added else None)}"),
            shared=tuple(word for word in common if not _is_seed(word)),
            points=tuple(
                Point(
                    words=tuple(word for word in job.overrides if word not in common and not _is_seed(word)),
                    template=each,
                    levels=_levels(each, content),
                )
                for job, each in zip(unlike, found, strict=True)
            ),
        )

    def train_words(self, seeds: Mapping[Point, Sequence[int]]) -> list[str]:
        """The command line of `skiplab train` for some of the points, each at its seeds."""
        grids = [[*point.words, f"seed={','.join(map(str, own))}"] for point, own in seeds.items()]
        return ["-m", *self.hydra_overrides, f"hydra.sweeper.grids={override_text(grids)}", *self.shared]


def _is_seed(word: str) -> bool:
    return word.lstrip("+").startswith("seed=")


def _levels(job: Job, tuned: Tuned | None) -> dict[str, Any]:
    """A trial's levels; what was tuned for it, and is what it has, has the one level that the analysis gives it."""
    own = levels(job)
    if tuned is None or not tuned.followed_by(job.choices, factors(job.config)):
        return own
    axes = set(job.choices) & set(tuned.names)
    kept = {name: value for name, value in own.items() if "." not in name or name.split(".")[0] not in axes}
    return kept | dict.fromkeys(tuned.names, TUNED)
