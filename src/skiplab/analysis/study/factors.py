"""The factors of a study: the axes whose choice varies, and the settings that do."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from skiplab.records.record_schema import TrialSettings, is_number

# Axes that can't change the outcome of a trial.
_OBSERVERS = ("logger", "instrument", "evaluator", "feature_extractor")
# Axes whose option none is the same trial as one without the axis, such as one from before there was the axis.
_WITHOUT_IS_NONE = frozenset({"weight_average"})
_ABSENT = object()
_LARGEST_FLOAT = 2**53  # above it, some whole numbers are no floats


class Factors(NamedTuple):
    """varying: a column a factor, a row a trial, indexed by key. constants: what all trials share."""

    varying: pd.DataFrame
    constants: dict[str, Any]


def find_factors(trials: Mapping[str, TrialSettings]) -> Factors:
    """Axes whose choice varies, then settings that vary.

    A setting `g.x` below an axis g varies only if it differs among trials with the same choice of g, since an option's
    own settings belong to the option. A setting that equals another factor in every trial, as an interpolation does, is
    left out. The seed is no factor, and neither is a setting that follows it, as a module's argument `seed` does.
    """
    axes = _columns([trial["choices"] for trial in trials.values()], skip=_OBSERVERS)
    leaves = _columns([trial["factors"] for trial in trials.values()], skip=("seed",))
    seeds = [trial["factors"].get("seed") for trial in trials.values()]
    varying = {name: values for name, values in axes.items() if _differ(values)}
    for name in sorted(leaves, key=lambda leaf: "." in leaf):  # `depth` before the settings that follow it
        values = leaves[name]
        groups = axes.get(name.split(".")[0], [None] * len(values)) if "." in name else [None] * len(values)
        is_new = _differ_within(values, groups) and values not in varying.values() and name not in varying
        if is_new and not _follows(seeds, values):
            varying[name] = values
    constants = {
        name: values[0]
        for name, values in (leaves | axes).items()
        if values and not _differ(values) and values[0] is not _ABSENT
    }
    frame = pd.DataFrame({name: _typed(values) for name, values in varying.items()}, index=list(trials))
    return Factors(frame, constants)


def _columns(rows: Sequence[Mapping[str, Any]], skip: Sequence[str]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row if name not in skip)
    absent = {name: "none" if name in _WITHOUT_IS_NONE else _ABSENT for name in names}
    return {name: [row.get(name, absent[name]) for row in rows] for name in names}


def _follows(seeds: Sequence[Any], values: Sequence[Any]) -> bool:
    """Whether a setting is the seed in each trial that has it."""
    pairs = zip(values, seeds, strict=True)
    return all(value is _ABSENT or _identity(value) == _identity(seed) for value, seed in pairs)


def _differ(values: Sequence[Any]) -> bool:
    """Whether there are two different values; the quick check comes first, since most settings never vary."""
    if values and values.count(values[0]) == len(values) and values[0] not in (0, 1):
        return False
    return len({_identity(value) for value in values}) > 1


def _differ_within(values: Sequence[Any], groups: Sequence[Any]) -> bool:
    return _differ(values) and any(
        _differ([value for value, own in zip(values, groups, strict=True) if own == group])
        for group in dict.fromkeys(groups)
    )


def _identity(value: Any) -> Any:
    """1 and 1.0 are the same level, as in a trial's key; 1 and true are not."""
    return (isinstance(value, bool), value)


def _typed(values: Sequence[Any]) -> pd.Series | pd.Categorical | list[Any]:
    """A column of numbers, if none of them loses precision; else a categorical with its levels in the order found."""
    present = [value for value in values if value is not None and value is not _ABSENT]
    numbers = present and all(map(is_number, present))
    if numbers and len(present) == len(values) and all(isinstance(value, int) for value in values):
        return list(values)
    if numbers and not any(isinstance(value, int) and abs(value) > _LARGEST_FLOAT for value in present):
        return [float("nan") if value is None or value is _ABSENT else float(value) for value in values]
    texts = [None if value is _ABSENT else _text(value) for value in values]
    levels = list(dict.fromkeys(text for text in texts if text is not None))
    return pd.Categorical(texts, categories=levels, ordered=True)


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
