"""The ladder of looks: whether the first is done, which tests are still open, and what the next look trains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from skiplab.analysis.claims.claims import Claims
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.ladder import open_tests
from skiplab.analysis.study.published_trials import PublishedTrials, read_published_trials
from skiplab.analysis.study.study import Study, read_study
from skiplab.deciding.cost import is_left
from skiplab.deciding.ladder_sweep import Point
from skiplab.deciding.limits import Limits
from skiplab.deciding.outlook import Outlook, outlook
from skiplab.deciding.sources import Source
from skiplab.errors import SkiplabError
from skiplab.records.file_names import KEYS
from skiplab.records.statuses import FINISHED
from skiplab.records.study_list import read_keys, study_folder, study_names
from skiplab.records.tuned import read_tuned

Needed = Mapping[Point, Sequence[int]]  # the seeds of each arm and cell


class NextLook(NamedTuple):
    """How many seeds a look takes, and what it needs."""

    num_seeds: int
    needed: Needed


@dataclass(frozen=True, eq=False)
class Ladder:
    """The looks at a study.

    source: what is trained.
    claims: what is asked, with all declared looks.
    looks: those of them that may be reached.
    """

    source: Source
    claims: Claims
    looks: tuple[int, ...]

    @classmethod
    def of(cls, source: Source, limits: Limits) -> "Ladder":
        """The ladder of a source.

        Raises:
            SkiplabError: the claims can't be read or declare no looks, or a seed can't be one of the ladder's.
        """
        claims = read_claims(source.claims)
        if not claims.looks:
            raise SkiplabError(
                f"{source.claims} declares no looks, the numbers of seeds at which a study is judged; add them before "
                "anything is trained, as in looks: [5, 10, 20], or give `skiplab decide` a copy with looks by --claims"
            )
        found = cls(source, claims, limits.affordable(claims.looks))
        found._check()
        return found

    def _check(self) -> None:
        source, own = self.source, self.seeds(self.looks[-1])
        if self.points[0].template.config.run.rerun:
            raise SkiplabError("run.rerun=true would train everything again at each look; leave it out")
        if source.tuned and (both := sorted(set(own) & set(read_tuned(source.tuned).seeds))):
            raise SkiplabError(
                f"the ladder takes the seeds {own[0]} to {own[-1]}, and {', '.join(map(str, both))} was used to tune "
                f"{source.tuned}; start elsewhere, seed=NUMBER, or stop below, --max-seeds NUMBER"
            )
        study = self.study()
        if study is not None and (below := sorted(seed for seed in set(study.trials["seed"]) if seed < own[0])):
            raise SkiplabError(
                f"study {source.study!r} has trials at seed {below[0]}, below the ladder's first, {own[0]}, and a look "
                f"takes the lowest seeds of the study; start there, seed={below[0]}, or give another run.study"
            )

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """All arms and cells."""
        return tuple({point.template.kind: point for sweep in self.source.sweeps for point in sweep.points}.values())

    def seeds(self, num: int) -> range:
        """The seeds of a look."""
        return range(self.source.lowest_seed, self.source.lowest_seed + num)

    def study(self) -> Study | None:
        """The study; None before any trial has joined it."""
        if self.source.study not in study_names(self.source.runs_dir):
            return None
        return read_study(self.source.study, self.source.runs_dir)

    def everything(self, num: int) -> Needed:
        """All arms and cells at so many seeds."""
        return dict.fromkeys(self.points, self.seeds(num))

    @property
    def first_is_done(self) -> bool:
        """Whether everything is trained that the first look needs."""
        return not self.lacks(self.everything(self.looks[0]))

    def lacks(self, needed: Needed) -> bool:
        """Whether any of these trials is to be trained, or to join the study; one that failed is neither."""
        published = self.taken_over
        known = {*self._listed(), *published}
        jobs = (point.job(seed) for point, seeds in needed.items() for seed in seeds)
        return any(not job.failed and (job.record.key not in known or is_left(job, published)) for job in jobs)

    def without_published(self, needed: Needed) -> Needed:
        """These trials, without those that were published; arms and cells that have no others are left out."""
        published = self.taken_over
        left = {
            point: [seed for seed in seeds if point.job(seed).record.key not in published]
            for point, seeds in needed.items()
        }
        return {point: seeds for point, seeds in left.items() if seeds}

    def outlooks(self, study: Study) -> list[Outlook]:
        """Every open test with what becomes of it."""
        found = (outlook(test, self.points, self.claims.looks, self.looks) for test in open_tests(study, self.claims))
        return [replace(each, stops=each.stops or self._why_stuck(each)) for each in found]

    def _why_stuck(self, each: Outlook) -> str:
        """Why a test can't be judged at its next look although nothing is left to train for it; '' if something is."""
        seeds = self.seeds(each.test.next_look)
        if self.lacks(dict.fromkeys(each.points, seeds)):
            return ""
        if any(point.job(seed).failed for point in each.points for seed in seeds):
            return "a trial that it needs failed; run.retry_failed=true tries it again"
        return "its trials are done, and they give no verdict"

    def next_look(self, outlooks: Sequence[Outlook]) -> NextLook | None:
        """The lowest look that any test goes on to; None if none does."""
        going_on = [each for each in outlooks if not each.stops]
        if not going_on:
            return None
        num = min(each.test.next_look for each in going_on)
        here = [each for each in going_on if each.test.next_look == num]
        return NextLook(num, {point: self.seeds(num) for each in here for point in each.points})

    def at_most(self, outlooks: Sequence[Outlook]) -> Needed:
        """What all tests that go on need if none is decided before the last look."""
        return {point: self.seeds(self.looks[-1]) for each in outlooks if not each.stops for point in each.points}

    def likely(self, outlooks: Sequence[Outlook]) -> Needed:
        """What they need if each is decided at its likely look."""
        num: dict[Point, int] = {}
        for each in outlooks:
            for point in each.points if not each.stops else ():
                num[point] = max(num.get(point, 0), each.likely)
        return {point: self.seeds(most) for point, most in num.items()}

    @cached_property
    def published(self) -> PublishedTrials | None:
        """The published trials that the study goes on from."""
        return read_published_trials(study_folder(self.source.runs_dir, self.source.study))

    @property
    def taken_over(self) -> dict[str, float]:
        """The seconds of each published trial that the study hasn't trained itself, by key."""
        if self.published is None:
            return {}
        listed = self._listed()
        return {key: took for key, took in self.published.seconds.items() if key not in listed}

    def num_trained(self) -> int:
        """How many trials the study has finished itself; those that other studies alone have don't count."""
        listed = self._listed()
        jobs = (point.job(seed) for point in self.points for seed in self.seeds(self.looks[-1]))
        return sum(job.record.key in listed and job.record.status in FINISHED for job in jobs)

    def _listed(self) -> set[str]:
        """The keys of the study's trials."""
        folder = study_folder(self.source.runs_dir, self.source.study)
        return set(read_keys(folder).keys) if (folder / KEYS).exists() else set()
