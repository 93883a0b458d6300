"""Arms that have collapsed: they have learned next to nothing, in all seeds or in some."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from skiplab.analysis.frames import column
from skiplab.analysis.statistics.rates import exact_rate, rate_text
from skiplab.analysis.study.arms import Cell, CellLevels, cell_levels, positions_by_arm
from skiplab.analysis.study.cached_per_study import cached_per_study
from skiplab.analysis.study.collapsed import COLLAPSED_BELOW, skill_metric
from skiplab.analysis.study.metric_values import arm_values
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import level_text, number

_MOST_LISTED = 100  # seeds whose skill stands in a note


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """What has collapsed in a cell.

    arms: those whose mean skill lies below the bound, at a level of what varies within the cell.
    notes: a sentence for each of those of which only some seeds have collapsed, with the skills of the seeds.
    """

    arms: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether some seeds of an arm have collapsed and others haven't."""
        return bool(self.notes)


def find_collapse(study: Study, factor: str, arms: Sequence[str], cell: Cell) -> Collapse:
    """Which of these arms have collapsed in a cell, by their skill on training images if known.

    Args:
        study: the study.
        factor: the factor whose arms are compared.
        arms: the arms to look at.
        cell: where.
    """
    metric = skill_metric(study)
    if metric is None:
        return Collapse()
    skills = [each for each in _skills(study, factor, metric, cell_levels(cell)) if each.arm in arms]
    return Collapse(
        arms=tuple(each.name for each in skills if each.has_collapsed),
        notes=tuple(each.note for each in skills if each.note),
    )


class _ArmSkill(NamedTuple):
    """An arm at one level of what varies within the cell.

    name: the arm with that level. has_collapsed: whether its mean skill lies below the bound. note: of `Collapse`.
    """

    arm: str
    name: str
    has_collapsed: bool
    note: str


@cached_per_study
def _skills(study: Study, factor: str, metric: str, levels: CellLevels) -> list[_ArmSkill]:
    cell = dict(levels)
    others = [other for other in study.factors if other not in {*cell, factor} and "." not in other]
    found = []
    for arm in positions_by_arm(study, factor, levels):
        values = arm_values(study, factor, metric, cell, arm)
        parts: list[tuple[tuple[Any, ...], pd.Series]] = [((), values.by_seed)]
        if others:
            ordered = values.rows.sort_values("seed", kind="stable")
            by_level = ordered.groupby(others, observed=True)
            parts = [(cast("tuple[Any, ...]", own), column(rows, "value")) for own, rows in by_level]
        for own, every in parts:
            at = [f"at {each} {level_text(level)}" for each, level in zip(others, own, strict=True)]
            name, skills = " ".join([arm, *at]), every.dropna().to_numpy()
            if len(skills):
                collapsed = bool(skills.mean() < COLLAPSED_BELOW)
                found.append(_ArmSkill(arm, name, collapsed, _partly_collapsed(name, skills)))
    return found


def _partly_collapsed(name: str, skills: np.ndarray) -> str:
    """A sentence where some seeds have collapsed and others haven't, else ''."""
    count = int((skills < COLLAPSED_BELOW).sum())
    if count in (0, len(skills)):
        return ""
    rate = exact_rate(count, len(skills))
    return (
        f"{name}: {rate_text(rate)} of seeds have a skill below {COLLAPSED_BELOW:g}: {', '.join(map(number, skills))}"
    )
