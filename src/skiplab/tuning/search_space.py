"""What is tried besides learning rates: options and settings, the same for all arms or as many of its own for each."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from skiplab.configuration.overrides import written
from skiplab.errors import SkiplabError
from skiplab.records.tuned import RATE
from skiplab.sweeps.job import Job
from skiplab.tuning.levels import level_override, levels, levels_of
from skiplab.tuning.preset_sweep import PresetSweep, swept_and_tuned

# Axes by which the skill of one network at one quality differs.
_TASK = ("objective", "prediction", "loss_weighting", "noise_schedule", "conditioning", "data")


class SearchSpace(NamedTuple):
    """Overrides with several values, by the name of the option or setting.

    shared: those of all combinations.
    factor: whose levels have further ones of their own; '' for none.
    own: those of each level, by its text.
    """

    shared: dict[str, str]
    factor: str
    own: dict[str, dict[str, str]]

    @classmethod
    def read(cls, sweep: PresetSweep, also: Sequence[str]) -> "SearchSpace":
        """The space of words such as `init=default,he`, or `plain:init=default,he` for one level of a factor.

        Raises:
            SkiplabError: an option or setting can't be tuned, or a level isn't in the sweep.
        """
        words: dict[str, list[str]] = {}
        for each in also:
            head, equals, values = each.partition("=")
            level, _, name = head.rpartition(":")
            words.setdefault(level, []).append(f"{name}{equals}{values}")
        shared = _settings(sweep, words.pop("", []), sweep.jobs)
        if not words:
            return cls(shared, "", {})
        factor, levels = _factor(sweep, list(words))
        own = {}
        for level in levels:
            jobs = [job for job in sweep.jobs if _level(job, factor) == level]
            own[level] = _settings(sweep, words.get(level, []), jobs, prefix=f"{level}:", taken=shared)
        return cls(shared, factor, own)

    @property
    def grids(self) -> list[list[str]]:
        """A grid for each level that has settings of its own; one for all if none has."""
        return [[f"{self.factor}={level}", *words.values()] for level, words in self.own.items()] or [[]]

    def names(self, job: Job) -> list[str]:
        """The options and settings that are tried for the combination of a trial."""
        own = self.own[_level(job, self.factor)] if self.own else {}
        return [*self.shared, *own]

    def sets(self, name: str) -> bool:
        """Whether an option or setting is tried for any combination, or belongs to an option that is."""
        tried = {*self.shared, *(each for words in self.own.values() for each in words)}
        return name in tried or name.split(".")[0] in tried

    def check_equal(self, jobs: Sequence[Job]) -> None:
        """Refuse to try more for one level than for another.

        Raises:
            SkiplabError: names the levels with their numbers of trials.
        """
        numbers = dict.fromkeys(self.own, 0)
        for job in jobs if self.own else ():
            numbers[_level(job, self.factor)] += 1
        if len(set(numbers.values())) > 1:
            counts = ", ".join(f"{number} trials for {level}" for level, number in numbers.items())
            raise SkiplabError(
                f"--also gives unequal budgets: {counts}; give each {self.factor} as many values, as in --also "
                f"{next(iter(self.own))}:KEY=V1,V2, or accept it by --unequal, and verdicts will say so"
            )


def _level(job: Job, factor: str) -> str:
    return level_override(levels_of(job, [factor])[factor])


def _factor(sweep: PresetSweep, levels: Sequence[str]) -> tuple[str, list[str]]:
    """The one swept factor that has these levels, and all its levels."""
    found = {factor: list(dict.fromkeys(_level(job, factor) for job in sweep.jobs)) for factor in sweep.factors}
    having = [factor for factor, own in found.items() if set(levels) <= set(own)]
    if len(having) != 1:
        valid = "; ".join(f"{', '.join(own)} ({factor})" for factor, own in found.items())
        reason = f"are levels of {' and '.join(having)}" if having else "are not levels of one swept factor"
        raise SkiplabError(f"--also {', '.join(f'{level}:...' for level in levels)} {reason}; valid: {valid}")
    return having[0], found[having[0]]


def _settings(
    sweep: PresetSweep, words: Sequence[str], jobs: Sequence[Job], prefix: str = "", taken: Collection[str] = ()
) -> dict[str, str]:
    """The words by the names that they set."""
    found: dict[str, str] = {}
    parsed = sweep.composer.parse(words)
    tuned = {each.key_or_group for each in parsed} | set(taken)
    for each in parsed:
        name, word = each.key_or_group, written(each)
        shown = f"--also {prefix}{word}"
        if name in found or name in taken:
            raise SkiplabError(f"{shown}: {name} is given twice; give all its values at once, {name}=V1,V2")
        if not each.is_sweep_override():
            raise SkiplabError(f"{shown}: only one value; valid: several, {name}=V1,V2")
        if name == RATE:
            raise SkiplabError(f"{shown}: learning rates are set by --rates and --factor instead")
        if name == "seed":
            raise SkiplabError(f"{shown}: the seeds of tuning are set by --seeds instead")
        if any(name in (factor, factor.split(".")[0]) for factor in sweep.factors):
            raise SkiplabError(swept_and_tuned(name))
        if name.split(".")[0] in _TASK:
            raise SkiplabError(f"{shown}: {name} changes what the metric measures, so its values can't be compared")
        having = [job for job in jobs if _has(job, name, tuned)]
        if having and len(having) < len(jobs):
            raise SkiplabError(f"{shown}: not all trials have it; give it to an arm that does, --also ARM:{word}")
        if not having:
            raise SkiplabError(
                f"{shown}: unknown setting; valid: an axis or a setting of the trials that affects training, such as "
                "init or optimizer.eps"
            )
        found[name] = word
    return found


def _has(job: Job, name: str, tuned: set[str]) -> bool:
    """Whether a trial has this axis or setting, or an option that is tuned may have it."""
    return name in levels(job) or ("." in name and name.split(".")[0] in tuned)
