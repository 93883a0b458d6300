"""Arms that have collapsed: they have learned next to nothing, in all seeds or in some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skiplab.analysis.statistics.rates import exact_rate, rate_text
from skiplab.analysis.study.arms import Cell, cell_levels, in_cell
from skiplab.analysis.study.cached_per_study import cached_per_study
from skiplab.analysis.study.collapsed import COLLAPSED_BELOW, skill_metric
from skiplab.analysis.study.metric_values import metric_values
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
    notes: a sentence for each of those of which only some seeds have collapsed, with the skill of every seed.
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
def _skills(study: Study, factor: str, metric: str, levels: tuple[tuple[str, str], ...]) -> list[ArmSkills]:
    cell = dict(levels)
    trials = in_cell(study, metric_values(study, factor, metric), cell)
    trials = trials.loc[trials["value"].notna()].sort_values("seed", kind="stable")
    others = [other for other in study.factors if other not in {*cell, factor} and "." not in other]
    found = []
    for (arm, *own), rows in trials.groupby(["arm", *others], observed=True):
        at = dict(zip(others, own, strict=True))
        found.append(ArmSkills(arm=str(arm), levels=at, skills=tuple(rows["value"])))
    return found


def _partly_collapsed(arm: ArmSkills) -> str:
    """A sentence where some seeds have collapsed and others haven't, else ''."""
    rate = exact_rate(sum(skill < COLLAPSED_BELOW for skill in arm.skills), len(arm.skills))
    if rate.count in (0, rate.n):
        return ""
    every = ", ".join(number(skill) for skill in arm.skills)
    return f"{arm.name}: {rate_text(rate)} of seeds have a skill below {COLLAPSED_BELOW:g}: {every}"
