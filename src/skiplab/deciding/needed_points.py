"""Which points of the sweeps a test needs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from skiplab.analysis.claims.ladder import OpenTest
from skiplab.analysis.text import cell_text, level_text
from skiplab.deciding.ladder_sweep import Point


def needed_points(test: OpenTest, points: Iterable[Point]) -> list[Point]:
    """The points at the levels of any of a test's trials, each once."""
    return [point for point in points if any(is_at(point.levels, trial) for trial in test.trials)]


def missing_trials(test: OpenTest, points: Sequence[Point]) -> list[str]:
    """The trials of a test that no point stands for, as text."""
    return [cell_text(trial) for trial in test.trials if not any(is_at(point.levels, trial) for point in points)]


def is_at(levels: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a point has all these levels, which are compared as text, as the analysis does."""
    return all(level_text(levels.get(name)) == level_text(level) for name, level in wanted.items())
