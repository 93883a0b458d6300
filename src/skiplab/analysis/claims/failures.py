"""Arms that fail: as a whole, or in some seeds, with how often that happens."""

import math
from collections.abc import Sequence

import pandas as pd

from skiplab.analysis.claims.compare import measured
from skiplab.analysis.statistics.effect_size import Rate, exact_rate
from skiplab.analysis.study.arms import Cell, cell_factors, cells, chosen_factor, in_cell, with_arms
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import cell_text, level_text, number

FAILED_BELOW = 0.05  # mean skill below which an arm has learnt next to nothing, where no claims file says otherwise
_RATES = ("diverged", "collapsed")
_RATE_COLUMNS = [f"{name}{part}" for name in _RATES for part in ("", "_of", "_low", "_high")]
_SKILLS = ("skill_train", "skill_val")


def failed_arms(
    study: Study, factor: str, arms: Sequence[str], cell: Cell, failed_below: float | None
) -> tuple[str, ...]:
    """Which of these arms have a mean skill, on training images if known, below failed_below in a cell."""
    return tuple(
        name for name, values in _skills(study, factor, arms, cell, failed_below) if values.mean() < failed_below
    )


def split_arms(
    study: Study, factor: str, arms: Sequence[str], cell: Cell, failed_below: float | None
) -> tuple[str, ...]:
    """A sentence for each of these arms of which some seeds fail and others don't, with every seed's skill."""
    found = []
    for name, values in _skills(study, factor, arms, cell, failed_below):
        rate = exact_rate(int((values < failed_below).sum()), len(values))
        if 0 < rate.count < rate.n:
            every = ", ".join(number(value) for value in values)
            found.append(f"{name}: {rate_text(rate)} of seeds have a skill below {failed_below:g}: {every}")
    return tuple(found)


def _skills(
    study: Study, factor: str, arms: Sequence[str], cell: Cell, failed_below: float | None
) -> list[tuple[str, pd.Series]]:
    """The skills over seeds of each arm, at each level of what varies within the cell; none without a bound."""
    metric = _skill_metric(study)
    if metric is None or failed_below is None:
        return []
    place = ("skills", factor, cell_text(cell))
    if place not in study.derived:
        study.derived[place] = _skills_of_all(study, factor, metric, cell)
    return [(name, values) for arm, name, values in study.derived[place] if arm in arms]


def _skills_of_all(study: Study, factor: str, metric: str, cell: Cell) -> list[tuple[str, str, pd.Series]]:
    trials = in_cell(study, measured(study, factor, metric), cell)
    trials = trials[trials["value"].notna()].sort_values("seed", kind="stable")
    others = [other for other in study.factors if other not in {*cell, factor} and "." not in other]
    found = []
    for levels, own in trials.groupby(["arm", *others], observed=True):
        at = [f"at {other} {level}" for other, level in zip(others, levels[1:], strict=True)]
        found.append((str(levels[0]), " ".join([str(levels[0]), *at]), own["value"]))
    return found


def rates_table(study: Study, factor: str | None = None, failed_below: float = FAILED_BELOW) -> pd.DataFrame:
    """How often trials of each arm diverge, and end with a skill below failed_below (diverged ones have skill 0).

    A row for each cell and arm: `diverged` and `collapsed`, how many trials did; `_of`, how many have ended with a
    result that says so; `_low` and `_high`, the exact 95% interval of the share.
    """
    factor = chosen_factor(study, factor)
    metric, names = _skill_metric(study), cell_factors(study, factor)
    trials = with_arms(study, factor)
    trials = trials.assign(skill=measured(study, factor, metric)["value"] if metric else float("nan"))
    rows = []
    for cell in cells(study, factor):
        for arm, own in in_cell(study, trials, cell).groupby("arm", observed=True):
            ended = own[own["status"].isin(["done", "diverged"])]
            with_skill = ended["skill"].dropna()
            rates = {
                "diverged": exact_rate(int((ended["status"] == "diverged").sum()), len(ended)),
                "collapsed": exact_rate(int((with_skill < failed_below).sum()), len(with_skill)),
            }
            numbers = {
                f"{name}{part}": value
                for name, rate in rates.items()
                for part, value in (("", rate.count), ("_of", rate.n), ("_low", rate.low), ("_high", rate.high))
            }
            rows.append({**cell, "arm": arm, **numbers})
    return pd.DataFrame(rows, columns=[*names, "arm", *_RATE_COLUMNS])


def rate_headings(table: pd.DataFrame) -> list[str]:
    """The columns of a table of rates as text."""
    return [*_named(table), *(f"{name} (95%, exact)" for name in _RATES)]


def rate_rows(table: pd.DataFrame) -> list[list[str]]:
    """A table of rates as text."""
    return [
        [
            *(level_text(row[name]) for name in _named(table)),
            *(rate_text(Rate(*(row[f"{name}{part}"] for part in ("", "_of", "_low", "_high")))) for name in _RATES),
        ]
        for row in table.to_dict("records")
    ]


def _named(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if name not in _RATE_COLUMNS]


def rate_text(rate: Rate) -> str:
    """'2 of 5 (40%, 5% to 85%)'."""
    if math.isnan(rate.low):
        return "–"
    return f"{rate.count} of {rate.n} ({rate.count / rate.n:.0%}, {rate.low:.0%} to {rate.high:.0%})"


def _skill_metric(study: Study) -> str | None:
    return next((name for name in _SKILLS if name in study.metrics), None)
