"""The result of `skiplab tune`, `tuned.yaml`: read by sweeps that use it and by the analysis."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from skiplab.errors import SkiplabError
from skiplab.records.foreign_files import parse_yaml, read_bytes

RATE = "optimizer.lr"  # the setting that is tuned
Edge = Literal["inside", "lowest", "highest", "both"]
_ABSENT = object()
_TUPLES = ("overrides", "also", "seeds", "rates")


@dataclass(frozen=True, kw_only=True)
class Window:
    """The consecutive rates around the best one with at least 0.9 of its skill.

    at_least: whether it reaches an edge of the grid, so that it may be wider.
    """

    lowest: float
    highest: float
    at_least: bool

    @property
    def decades(self) -> float:
        return math.log10(self.highest / self.lowest)


@dataclass(frozen=True, kw_only=True)
class Combination:
    """An arm in a cell, and its best settings.

    factors: its levels by factor.
    tried: the values of each option and setting that was combined with the rates, by name; of those that change
        together, names and values are joined by `+`.
    best: the best of these, the best rate, and the settings that belong to the best options.
    value: the metric with these settings, the mean over the seeds.
    edge: the edge of the grid at which the best rate is; 'both' if all rates are equal.
    curve: the metric of each of its seeds by rate, with the other settings at their best.
    diverged: the rates of the curve at which a trial diverged.
    """

    factors: Mapping[str, Any]
    tried: Mapping[str, Sequence[Any]]
    best: Mapping[str, Any]
    value: float
    edge: Edge
    window: Window
    curve: Mapping[float, Sequence[float]]
    diverged: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The content of tuned.yaml.

    study: the study of the tuning trials.
    preset, overrides, also: what was tuned, and the words that say what was tried besides rates.
    metric, label, direction: the metric that selects the best, its name in figures, and which values are better.
    seeds: those of the tuning trials; the best rates have all of them, the others the first ones, where `skiplab
        confirm` added some.
    rates: the learning rates that each combination was given, ascending.
    widenings: how often the grid of rates was widened.
    shared: every option and setting that all tuning trials had in common.
    combinations: the results.
    """

    study: str
    preset: str
    overrides: tuple[str, ...]
    also: tuple[str, ...]
    metric: str
    label: str
    direction: str
    seeds: tuple[int, ...]
    rates: tuple[float, ...]
    widenings: int
    shared: Mapping[str, Any]
    combinations: tuple[Combination, ...]

    @property
    def seeds_text(self) -> str:
        """The seeds in words: 'seeds 1, 2', or 'seeds 1, 2, the best rates at 3, 4 too'."""
        fewest = min(len(values) for each in self.combinations for values in each.curve.values())
        first, further = (", ".join(map(str, part)) for part in (self.seeds[:fewest], self.seeds[fewest:]))
        return f"seeds {first}" + (f", the best rates at {further} too" if further else "")

    @property
    def names(self) -> tuple[str, ...]:
        """The options and settings that were tuned, in any combination."""
        return tuple(dict.fromkeys([RATE, *(name for choice in self.choices for name in choice.split("+"))]))

    @property
    def choices(self) -> tuple[str, ...]:
        """What was combined with the rates, in any combination, as in `Combination.tried`."""
        return tuple(dict.fromkeys(name for each in self.combinations for name in each.tried))

    def sets(self, name: str) -> bool:
        """Whether a setting was tuned, or belongs to an option that was."""
        return name in self.names or name.split(".")[0] in self.names

    @property
    def factors(self) -> tuple[str, ...]:
        """The names of the factors."""
        return tuple(self.combinations[0].factors)

    def find(self, choices: Mapping[str, Any], factors: Mapping[str, Any]) -> Combination | None:
        """The combination of a trial with these options and settings; None if it wasn't tuned."""
        own = {**factors, **choices}
        return next((each for each in self.combinations if _holds(own, each.factors)), None)

    def followed_by(self, choices: Mapping[str, Any], factors: Mapping[str, Any]) -> bool:
        """Whether a trial has the best settings of its combination and isn't a tuning trial."""
        found = self.find(choices, factors)
        return (
            found is not None and factors.get("seed") not in self.seeds and _holds({**factors, **choices}, found.best)
        )

    def departures(self, choices: Mapping[str, Any], factors: Mapping[str, Any]) -> dict[str, Any]:
        """The shared settings in which a trial differs from the tuning trials, with the values of those."""
        own = {**factors, **choices}
        return {name: value for name, value in self.shared.items() if not same(own.get(name, _ABSENT), value)}


def same(left: Any, right: Any) -> bool:
    """Whether two levels are equal: 1 and 1.0 are, 1 and true are not."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _holds(own: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(same(own.get(name, _ABSENT), value) for name, value in wanted.items())


def read_tuned(path: Path) -> Tuned:
    """Read a file of `skiplab tune`.

    Raises:
        SkiplabError: the file is missing or invalid.
    """
    try:
        content = parse_yaml(read_bytes(Path(path)))
    except OSError as error:
        raise SkiplabError(f"can't read {path}: {error.strerror}; create it by `skiplab tune PRESET`") from None
    except ValueError as error:
        raise SkiplabError(f"{path} is not valid YAML: {error}; create it again by `skiplab tune PRESET`") from None
    try:
        return _tuned(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise SkiplabError(
            f"{path} is not a result of `skiplab tune` ({reason}); create one by `skiplab tune PRESET`"
        ) from None


def _tuned(content: Any) -> Tuned:
    combinations = tuple(
        Combination(**{**entry, "window": Window(**entry["window"]), "diverged": tuple(entry["diverged"])})
        for entry in content["combinations"]
    )
    if not combinations or any(set(each.factors) != set(combinations[0].factors) for each in combinations):
        raise ValueError("it has no combinations, or they have different factors")
    sequences = {name: tuple(content[name]) for name in _TUPLES}
    return Tuned(**{**content, **sequences, "combinations": combinations})


def write_tuned(tuned: Tuned) -> str:
    """The text of tuned.yaml."""
    lists = {name: list(getattr(tuned, name)) for name in _TUPLES}
    content = {**vars(tuned), **lists, "combinations": [_entry(each) for each in tuned.combinations]}
    body = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120)
    return f"# The result of `skiplab tune {tuned.preset}` at {tuned.seeds_text}.\n{body}"


def _entry(combination: Combination) -> dict[str, Any]:
    return {**vars(combination), "window": vars(combination.window), "diverged": list(combination.diverged)}
