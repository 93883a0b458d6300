"""Arms that have collapsed: they have learned next to nothing, in all seeds or in some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

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


@dataclass(frozen=True, kw_only=True)
class ArmSkills:
    """The skill of each seed of an arm, at one level of what varies within the cell.

    levels: what varies within the cell.
    """

    arm: str
    levels: Mapping[str, Any]
    skills: tuple[float, ...]

    @property
    def name(self) -> str:
        """The arm with its levels, such as 'plain at depth 16'."""
        return " ".join([self.arm, *(f"at {other} {level_text(level)}" for other, level in self.levels.items())])

    @property
    def skill(self) -> float:
        """The mean over seeds."""
        return float(np.mean(self.skills))

    @property
    def num_learned(self) -> int:
        """How many seeds have not collapsed."""
        return sum(skill >= COLLAPSED_BELOW for skill in self.skills)


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """What has collapsed in a cell.

    found: the arms whose mean skill lies below the bound, at a level of what varies within the cell.
    notes: a sentence for each of those of which only some seeds have collapsed, with the skills of the seeds.
    """

    found: tuple[ArmSkills, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def arms(self) -> tuple[str, ...]:
        """The names of the arms that have collapsed."""
        return tuple(each.name for each in self.found)

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
        found=tuple(each for each in skills if each.skill < COLLAPSED_BELOW),
        notes=tuple(note for each in skills if (note := _partly_collapsed(each))),
    )


@cached_per_study
def _skills(study: Study, factor: str, metric: str, levels: CellLevels) -> list[ArmSkills]:
    cell = dict(levels)
    others = [other for other in study.factors if other not in {*cell, factor} and "." not in other]
    found = []
    for arm in positions_by_arm(study, factor, levels):
        values = arm_values(study, factor, metric, cell, arm)
        parts: list[tuple[tuple[Any, ...], pd.Series]] = [((), values.by_seed)]
        if others:
            ordered = values.rows.sort_values("seed", kind="stable")
            by_level = ordered.groupby(others, observed=True, dropna=False)
            parts = [(cast("tuple[Any, ...]", own), column(rows, "value")) for own, rows in by_level]
        for own, every in parts:
            skills = tuple(every.dropna())
            if skills:
                found.append(ArmSkills(arm=arm, levels=dict(zip(others, own, strict=True)), skills=skills))
    return found


def _partly_collapsed(arm: ArmSkills) -> str:
    """A sentence where some seeds have collapsed and others haven't, else ''."""
    count = len(arm.skills) - arm.num_learned
    if count in (0, len(arm.skills)):
        return ""
    rate = exact_rate(count, len(arm.skills))
    every = ", ".join(map(number, arm.skills))
    return f"{arm.name}: {rate_text(rate)} of seeds have a skill below {COLLAPSED_BELOW:g}: {every}"
