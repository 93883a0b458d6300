"""The table of the best level at equal cost as text."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from skiplab.analysis.frames import frame_rows
from skiplab.analysis.tables.equal_cost import COST_UNITS
from skiplab.analysis.text import level_text, number, size_interval_text, size_text

EQUAL_COST_CAPTION = (
    "At each budget, an arm takes the {over} that is best among those whose whole training costs no more; rows on "
    "the training loss stop longer trainings at the budget. Means, and differences from {control}, are of each seed "
    "at the {over} that is best for the other seeds; 'on the same seeds' is the mean at the {over} that is best for "
    "all, which flatters. An arm without a row can afford nothing, or has no seed with a value at each {over} that "
    "it can afford. Budgets are the costs of training at each {over}: FLOPs are 3 times those of a forward pass, "
    "times the batch, times the steps; seconds are wall time with evaluation, and noisy."
)


def equal_cost_cells(table: pd.DataFrame) -> list[str]:
    """The columns that say which cell a row is about."""
    return list(table.columns[: table.columns.get_loc("metric")])


def equal_cost_headings(table: pd.DataFrame, over: str) -> list[str]:
    """The headings, of which those of `equal_cost_cells` and three more stand over text."""
    numbers = [f"best {over}", "mean", "95%", "on the same seeds", "difference", "95%, paired", "n", "notes"]
    return [*equal_cost_cells(table), "metric", "budget", "arm", *numbers]


def equal_cost_rows(table: pd.DataFrame) -> list[list[str]]:
    """The rows as text."""
    return [_row(row, equal_cost_cells(table)) for row in frame_rows(table)]


def _row(row: Mapping[str, Any], names: list[str]) -> list[str]:
    kind = row["effect_kind"]
    return [
        *(level_text(row[name]) for name in names),
        row["metric"],
        f"{row['budget']:.3g} {COST_UNITS[row['cost']]}",
        row["arm"],
        level_text(row["best"]),
        number(row["mean"]),
        size_interval_text(row["low"], row["high"], kind),
        number(row["optimistic"]),
        size_text(row["effect"], row["effect_low"], row["effect_high"], kind),
        size_interval_text(row["effect_low"], row["effect_high"], kind),
        str(row["n"]),
        row["notes"],
    ]
