"""What `skiplab tune` found, `tuned.yaml`: read by the sweep that takes it over and by the analysis that judges it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from skiplab.errors import SkiplabError
from skiplab.records.foreign_files import parse_yaml, read_bytes

RATE = "optimizer.lr"  # the setting whose rates are tried
Edge = Literal["inside", "lowest", "highest", "both"]
_ABSENT = object()


@dataclass(frozen=True, kw_only=True)
class Window:
    """The rates in a row around the best whose skill is at least 0.9 of the best's.

    at_least: whether it touches an end of the grid, so that it may be wider.
    """

    lowest: float
    highest: float
    at_least: bool

    @property
    def decades(self) -> float:
        return math.log10(self.highest / self.lowest)


@dataclass(frozen=True, kw_only=True)
class Combination:
    """An arm in a cell, and what was found for it.

    factors: the levels that make it up, by name.
    best: the best value of each tuned setting, by name.
    value: the metric at them, the mean over the seeds.
    edge: where the best lies among the rates; 'both' where all are equal.
    curve: for each rate, with the other settings at their best, the metric of each seed.
    diverged: the rates of the curve at which a trial diverged.
    """

    factors: Mapping[str, Any]
    best: Mapping[str, Any]
    value: float
    edge: Edge
    window: Window
    curve: Mapping[float, Sequence[float]]
    diverged: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The content of tuned.yaml.

    study: where the trials are listed.
    preset, overrides: what was tuned.
    metric, label, direction: what decided, what an axis calls it, and which values are better.
    seeds: of the tuning trials.
    rates: the learning rates that each combination was given, ascending.
    settings: the further settings, crossed with the rates.
    widenings: how often the rates were widened.
    shared: every choice and setting that all tuning trials had in common.
    """

    study: str
    preset: str
    overrides: tuple[str, ...]
    metric: str
    label: str
    direction: str
    seeds: tuple[int, ...]
    rates: tuple[float, ...]
    settings: Mapping[str, Sequence[Any]]
    widenings: int
    shared: Mapping[str, Any]
    combinations: tuple[Combination, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The settings that were tuned."""
        return (RATE, *self.settings)

    @property
    def factors(self) -> tuple[str, ...]:
        """What makes up a combination."""
        return tuple(self.combinations[0].factors)

    @property
    def budget(self) -> str:
        """What each combination was given, '5 rates' or '5 rates × 2 settings'."""
        num_settings = math.prod(len(values) for values in self.settings.values())
        return f"{len(self.rates)} rates" + (f" × {num_settings} settings" if num_settings > 1 else "")

    def find(self, choices: Mapping[str, Any], factors: Mapping[str, Any]) -> Combination | None:
        """The combination that a trial belongs to, by its choices and settings; None where it wasn't tuned."""
        own = {**factors, **choices}
        return next((each for each in self.combinations if _holds(own, each.factors)), None)

    def followed_by(self, choices: Mapping[str, Any], factors: Mapping[str, Any]) -> bool:
        """Whether a trial has the best settings of its combination, and isn't one of the tuning trials."""
        found = self.find(choices, factors)
        return found is not None and factors.get("seed") not in self.seeds and _holds(factors, found.best)

    def departures(self, choices: Mapping[str, Any], factors: Mapping[str, Any]) -> dict[str, Any]:
        """The shared settings that a trial doesn't have in common with the tuning trials, as they were there."""
        own = {**factors, **choices}
        return {name: value for name, value in self.shared.items() if not same(own.get(name, _ABSENT), value)}


def same(left: Any, right: Any) -> bool:
    """Whether two levels are equal: 1 and 1.0 are, 1 and true are not."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _holds(own: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(same(own.get(name, _ABSENT), value) for name, value in wanted.items())


def read_tuned(path: Path) -> Tuned:
    """Read a file that `skiplab tune` wrote.

    Raises:
        SkiplabError: where there is none, or it isn't such a file.
    """
    try:
        content = parse_yaml(read_bytes(Path(path)))
    except OSError as error:
        raise SkiplabError(f"can't read {path}: {error.strerror}; `skiplab tune PRESET` writes such a file") from None
    except ValueError as error:
        raise SkiplabError(f"{path} is no valid YAML: {error}; `skiplab tune PRESET` writes it anew") from None
    try:
        return _tuned(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise SkiplabError(
            f"{path} is no result of `skiplab tune` ({reason}); `skiplab tune PRESET` writes one"
        ) from None


def _tuned(content: Any) -> Tuned:
    combinations = tuple(
        Combination(**{**entry, "window": Window(**entry["window"]), "diverged": tuple(entry["diverged"])})
        for entry in content["combinations"]
    )
    if not combinations or any(set(each.factors) != set(combinations[0].factors) for each in combinations):
        raise ValueError("its combinations are none, or not of the same factors")
    sequences = {name: tuple(content[name]) for name in ("overrides", "seeds", "rates")}
    return Tuned(**{**content, **sequences, "combinations": combinations})


def write_tuned(tuned: Tuned) -> str:
    """The text of tuned.yaml."""
    lists = {name: list(getattr(tuned, name)) for name in ("overrides", "seeds", "rates")}
    content = {**vars(tuned), **lists, "combinations": [_entry(each) for each in tuned.combinations]}
    head = f"# What `skiplab tune {tuned.preset}` found: each combination was given {tuned.budget}"
    body = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120)
    return f"{head} at seeds {', '.join(map(str, tuned.seeds))}.\n{body}"


def _entry(combination: Combination) -> dict[str, Any]:
    return {**vars(combination), "window": vars(combination.window), "diverged": list(combination.diverged)}
