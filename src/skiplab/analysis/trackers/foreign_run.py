"""A run that code other than skiplab's has logged, whatever the tracker."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from skiplab.records.statuses import Status

_NOT_FINITE = {"nan": math.nan, "infinity": math.inf, "inf": math.inf, "-infinity": -math.inf, "-inf": -math.inf}


class Value(NamedTuple):
    """One value that a run logged."""

    step: int
    metric: str
    value: float


class ForeignRun(NamedTuple):
    """A run of a tracker.

    name: where it lies below the source, or its name there.
    status: how it ended, as far as the tracker says.
    said: what is known of it by name: `config.optim.lr`, `path.0` for the first folder of its path, `name`, `group`.
    metrics: the last value of each.
    history: the values of each step.
    """

    name: str
    status: Status
    said: Mapping[str, Any]
    metrics: Mapping[str, float]
    history: tuple[Value, ...] = ()

    @property
    def last_step(self) -> int:
        """The last step with a value; -1 without any."""
        return max((each.step for each in self.history), default=-1)


def flat(node: Any, prefix: str) -> dict[str, Any]:
    """The values of nested mappings by dotted names; lists count as text."""
    if isinstance(node, Mapping):
        return {name: value for key, child in node.items() for name, value in flat(child, f"{prefix}.{key}").items()}
    return {prefix: str(node) if isinstance(node, list) else node}


def metric_numbers(found: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among the values of nested mappings; nan and infinities may be spelled."""
    values = {name[1:]: number(value) for name, value in flat(found, "").items()}
    return {name: value for name, value in values.items() if value is not None}


def number(value: Any) -> float | None:
    """A logged value as a number; None if it is none."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        return float(value)
    return _NOT_FINITE.get(value.lower()) if isinstance(value, str) else None


def last_values(history: Iterable[Value]) -> dict[str, float]:
    """The value of each metric at its last step."""
    return {each.metric: each.value for each in sorted(history, key=lambda each: each.step)}


def path_parts(parts: Iterable[str]) -> dict[str, str]:
    """The folders of a run's path by name: `path.0`, `path.1`, ..."""
    return {f"path.{place}": part for place, part in enumerate(parts)}
