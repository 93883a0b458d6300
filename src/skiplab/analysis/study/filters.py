"""What a reader of the page may hide: levels of the factors that make up cells, and arms."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from skiplab.analysis.figures.marks import Mark
from skiplab.analysis.figures.palette import arm_colors
from skiplab.analysis.study.arms import cell_factors, cells
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import level_text


class Option(NamedTuple):
    """A checkbox. tag: what the things that it hides carry; color: of an arm, else ''."""

    label: str
    tag: str
    color: str


class Filters:
    """The checkboxes of a study's page, and the tags of what they hide.

    groups: the factors that have several levels, and the arms where there are several.
    cells: the tags of each cell of the study.
    """

    def __init__(self, study: Study, factor: str, arms: Sequence[str]) -> None:
        colors = arm_colors(arms)
        self._factor = factor
        self._arms = {arm: Option(arm, f"a{position}", colors[arm]) for position, arm in enumerate(arms)}
        self._levels: dict[str, dict[str, Option]] = {}
        for name in cell_factors(study, factor):
            levels = pd.Series(study.trials[name]).drop_duplicates().sort_values().astype(object)
            texts = dict.fromkeys(map(level_text, levels))
            tag = f"f{len(self._levels)}"
            self._levels[name] = {text: Option(text, f"{tag}-{at}", "") for at, text in enumerate(texts)}
        named = {**self._levels, "arm": self._arms}
        self.groups = {name: list(options.values()) for name, options in named.items() if len(options) > 1}
        self.cells = [self.tags(cell) for cell in cells(study, factor)]

    def tags(self, cell: Mapping[str, Any], arm: str = "") -> str:
        """What something belongs to that shows this cell, or part of one, and this arm."""
        found = [self._levels[name].get(level_text(level)) for name, level in cell.items() if name in self._levels]
        found.append(self._arms.get(arm or level_text(cell.get(self._factor, ""))))
        return " ".join(option.tag for option in found if option)

    def of_mark(self, shown: Mark) -> str:
        """The tags of a part of a figure."""
        return self.tags(shown.cell, shown.arm)
