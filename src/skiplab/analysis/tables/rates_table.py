"""How often the trials of each arm diverge, and how often they collapse."""

from dataclasses import astuple

import numpy as np
import pandas as pd

from skiplab.analysis.frames import frame_rows
from skiplab.analysis.statistics.rates import Rate, exact_rate, rate_text
from skiplab.analysis.study.arms import cell_factors, cell_levels, cells, factor_under_test, positions_by_arm
from skiplab.analysis.study.collapsed import COLLAPSED_BELOW, skill_metric
from skiplab.analysis.study.metric_values import metric_values
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import level_text

_RATES = ("diverged", "collapsed")
_PARTS = ("", "_of", "_low", "_high")  # of each rate, in the order of `Rate`
_RATE_COLUMNS = [f"{name}{part}" for name in _RATES for part in _PARTS]


def rates_table(study: Study, factor: str | None = None) -> pd.DataFrame:
    """How often trials of each arm diverge, and how often they end with a skill below `COLLAPSED_BELOW`.

    A row for each cell and arm. `diverged` and `collapsed`: how many trials did; diverged ones have skill 0. `_of`: how
    many have ended with a result that tells. `_low` and `_high`: the exact 95% interval of the fraction.
    """
    factor = factor_under_test(study, factor)
    metric, names = skill_metric(study), cell_factors(study, factor)
    skills = metric_values(study, factor, metric)["value"].to_numpy() if metric else np.full(len(study.trials), np.nan)
    status = study.trials["status"].astype(object).to_numpy()
    rows = []
    for cell in cells(study, factor):
        for arm, positions in positions_by_arm(study, factor, cell_levels(cell)).items():
            ended = positions[np.isin(status[positions], ["done", "diverged"])]
            with_skill = skills[ended][~np.isnan(skills[ended])]
            rates = {
                "diverged": exact_rate(int((status[ended] == "diverged").sum()), len(ended)),
                "collapsed": exact_rate(int((with_skill < COLLAPSED_BELOW).sum()), len(with_skill)),
            }
            numbers = [value for rate in rates.values() for value in astuple(rate)]
            rows.append({**cell, "arm": arm, **dict(zip(_RATE_COLUMNS, numbers, strict=True))})
    return pd.DataFrame(rows, columns=[*names, "arm", *_RATE_COLUMNS])


def rate_headings(table: pd.DataFrame) -> list[str]:
    """The headings of a table of rates as text."""
    return [*_text_columns(table), *(f"{name} (95%, exact)" for name in _RATES)]


def rate_rows(table: pd.DataFrame) -> list[list[str]]:
    """The rows of a table of rates as text."""
    return [
        [
            *(level_text(row[name]) for name in _text_columns(table)),
            *(rate_text(Rate(*(row[f"{name}{part}"] for part in _PARTS))) for name in _RATES),
        ]
        for row in frame_rows(table)
    ]


def _text_columns(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if name not in _RATE_COLUMNS]
