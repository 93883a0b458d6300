"""What is tried besides learning rates: options and settings, the same for all arms or as many of its own for each."""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from skiplab.configuration.overrides import written
from skiplab.errors import SkiplabError
from skiplab.records.tuned import RATE
from skiplab.sweeps.job import Job
from skiplab.tuning.levels import level_override, levels, levels_of
from skiplab.tuning.preset_sweep import PresetSweep, swept_and_tuned

# Axes by which the skill of one network at one quality differs.
_TASK = ("objective", "prediction", "loss_weighting", "noise_schedule", "conditioning", "data")


class Choice(NamedTuple):
    """Options or settings that are tried, together if there are several.

    names: what is set.
    grids: for each alternative its overrides; of a single option or setting one override with all its values.
    """

    names: tuple[str, ...]
    grids: tuple[tuple[str, ...], ...]

    def level(self, own: Mapping[str, Any]) -> tuple[str, Any]:
        """Its name and what a trial with these levels has of it; of several settings both are joined by `+`."""
        if len(self.names) == 1:
            return self.names[0], own[self.names[0]]
        return "+".join(self.names), "+".join(level_override(own[name]) for name in self.names)


class SearchSpace(NamedTuple):
    """What each combination tries with every rate.

    shared: by all combinations.
    factor: whose levels have further choices of their own; '' for none.
    own: those of each level, by its text.
    """

    shared: tuple[Choice, ...]
    factor: str
    own: dict[str, tuple[Choice, ...]]

    @classmethod
    def read(cls, sweep: PresetSweep, also: Sequence[str]) -> "SearchSpace":
        """The space of words such as `init=default,he`, or `plain:init=default,he` for one level of a factor.

        Options joined by `+` change together: `init+norm=default+group,fixup+none` has two alternatives.

        Raises:
            SkiplabError: an option or setting can't be tuned, or a level isn't in the sweep.
        """
        words: dict[str, list[str]] = {}
        for each in also:
            head, equals, values = each.partition("=")
            level, _, name = head.rpartition(":")
            words.setdefault(level, []).append(f"{name}{equals}{values}")
        shared = _choices(sweep, words.pop("", []), sweep.jobs)
        if not words:
            return cls(shared, "", {})
        factor, levels = _factor(sweep, list(words))
        own = {}
        for level in levels:
            jobs = [job for job in sweep.jobs if _level(job, factor) == level]
            own[level] = _choices(sweep, words.get(level, []), jobs, prefix=f"{level}:", taken=names_of(shared))
        return cls(shared, factor, own)

    @property
    def grids(self) -> list[list[str]]:
        """The overrides of each grid; one grid without any if nothing but rates is tried."""
        levels = {f"{self.factor}={level}": choices for level, choices in self.own.items()} or {"": ()}
        return [
            [*([level] if level else []), *itertools.chain.from_iterable(alternatives)]
            for level, choices in levels.items()
            for alternatives in itertools.product(*(choice.grids for choice in (*self.shared, *choices)))
        ]

    def choices(self, job: Job) -> tuple[Choice, ...]:
        """What is tried for the combination of a trial."""
        return (*self.shared, *(self.own[_level(job, self.factor)] if self.own else ()))

    def sets(self, name: str) -> bool:
        """Whether an option or setting is tried for any combination, or belongs to an option that is."""
        tried = names_of((*self.shared, *itertools.chain.from_iterable(self.own.values())))
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


def names_of(choices: Iterable[Choice]) -> list[str]:
    """All options and settings of choices."""
    return [name for choice in choices for name in choice.names]


def _choices(
    sweep: PresetSweep, words: Sequence[str], jobs: Sequence[Job], prefix: str = "", taken: Collection[str] = ()
) -> tuple[Choice, ...]:
    """What the words try.

    Args:
        sweep: that is tuned.
        words: such as `init=default,he`.
        jobs: the trials that get them.
        prefix: what stood before a word on the command line.
        taken: the names that are set already.
    """
    choices = [_choice(sweep, word, f"--also {prefix}{word}") for word in words]
    tried = [*taken, *names_of(choices)]
    for word, choice in zip(words, choices, strict=True):
        for name in choice.names:
            shown = f"--also {prefix}{word}"
            if tried.count(name) > 1:
                raise SkiplabError(f"{shown}: {name} is given twice; give all its values at once, {name}=V1,V2")
            _check_name(sweep, name, shown)
            having = [job for job in jobs if _has(job, name, tried)]
            if having and len(having) < len(jobs):
                raise SkiplabError(
                    f"{shown}: not all trials have {name}; give it to an arm that does, --also ARM:{word}"
                )
            if not having:
                raise SkiplabError(
                    f"{shown}: unknown setting {name}; valid: an axis or a setting of the trials that affects "
                    "training, such as init or optimizer.eps"
                )
    return tuple(choices)


def _choice(sweep: PresetSweep, word: str, shown: str) -> Choice:
    head, _, values = word.partition("=")
    if "+" not in head.lstrip("+"):
        override = sweep.composer.parse([word])[0]
        if not override.is_sweep_override():
            raise SkiplabError(f"{shown}: only one value; valid: several, {override.key_or_group}=V1,V2")
        return Choice((override.key_or_group,), ((written(override),),))
    names, alternatives = tuple(head.split("+")), [each.split("+") for each in values.split(",")]
    if len(alternatives) < 2 or any(len(each) != len(names) for each in alternatives):
        form = "+".join(f"{name.upper()}1" for name in names), "+".join(f"{name.upper()}2" for name in names)
        raise SkiplabError(
            f"{shown}: {head} changes {len(names)} options or settings together, so give several alternatives with a "
            f"value for each; valid: {head}={form[0]},{form[1]}"
        )
    grids = tuple(tuple(f"{name}={value}" for name, value in zip(names, each, strict=True)) for each in alternatives)
    for grid in grids:
        sweep.composer.parse(grid)
    return Choice(names, grids)


def _check_name(sweep: PresetSweep, name: str, shown: str) -> None:
    """Refuse what can't be tuned.

    Raises:
        SkiplabError: names it.
    """
    if name == RATE:
        raise SkiplabError(f"{shown}: learning rates are set by --rates and --factor instead")
    if name == "seed":
        raise SkiplabError(f"{shown}: the seeds of tuning are set by --seeds instead")
    if any(name in (factor, factor.split(".")[0]) for factor in sweep.factors):
        raise SkiplabError(swept_and_tuned(name))
    if name.split(".")[0] in _TASK:
        raise SkiplabError(f"{shown}: {name} changes what the metric measures, so its values can't be compared")


def _has(job: Job, name: str, tried: Collection[str]) -> bool:
    """Whether a trial has this axis or setting, or an option that is tried may have it."""
    return name in levels(job) or ("." in name and name.split(".")[0] in tried)
