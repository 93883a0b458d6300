"""Arms and cells: what a study compares, and where."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from skiplab.analysis.frames import column, frame_rows
from skiplab.analysis.study.cached_per_study import cached_per_study
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import level_text, unknown_name
from skiplab.errors import SkiplabError
from skiplab.printable import printable

Cell = dict[str, Any]
DEFAULT_FACTOR = "connection"


def with_arms(study: Study, factor: str) -> pd.DataFrame:
    """The study's trials with a column `arm`: the factor's level, and those of its own settings that vary.

    Raises:
        SkiplabError: where nothing of that name is known.
    """
    return _with_arms(study, factor).copy(deep=False)


def arm_names(study: Study, factor: str) -> list[str]:
    """The arms of a factor in the order of its levels.

    Raises:
        SkiplabError: where nothing of that name is known.
    """
    return [str(arm) for arm in _with_arms(study, factor)["arm"].cat.categories]


@cached_per_study
def _with_arms(study: Study, factor: str) -> pd.DataFrame:
    trials = study.trials
    if factor not in study.factors:
        trials = trials.assign(**{factor: level_text(constant(study, factor))})
    own = [name for name in study.factors if name.startswith(f"{factor}.")]
    names = [_arm_name(row, factor, own) for row in frame_rows(trials.loc[:, [factor, *own]].astype(object))]
    order = trials.assign(arm=names).sort_values([factor, *own], kind="stable")["arm"]
    return study.trials.assign(arm=pd.Categorical(names, categories=list(dict.fromkeys(order)), ordered=True))


def _arm_name(row: Mapping[str, Any], factor: str, own: Sequence[str]) -> str:
    settings = (f"{name.split('.', 1)[1]} {level_text(row[name])}" for name in own if pd.notna(row[name]))
    return ", ".join([level_text(row[factor]), *settings])


def constant(study: Study, name: str) -> Any:
    """The value that all trials share of a choice or setting that doesn't vary; None where there is no trial.

    Raises:
        SkiplabError: where no such thing is known.
    """
    if name in study.constants or not study.records:
        return study.constants.get(name)
    raise SkiplabError(
        f"unknown factor {printable(name)!r}; in study {printable(study.name)!r} these vary: "
        f"{printable(', '.join(study.factors)) or 'none'}"
    )


def status_counts(study: Study) -> str:
    """How many trials there are of each status."""
    found = study.trials["status"].value_counts()
    return ", ".join(f"{count} {status}" for status, count in found.items() if count) or "none"


def cell_factors(study: Study, factor: str, over: str | None = None) -> list[str]:
    """The factors that make up a cell: all but the one under test, its own settings and `over`."""
    return [name for name in study.factors if name not in (factor, over) and not name.startswith(f"{factor}.")]


def cells(
    study: Study, factor: str, *, over: str | None = None, wanted: Mapping[str, Sequence[Any]] | None = None
) -> list[Cell]:
    """The cells to compare in: the product of the wanted levels, times what else varies in the study.

    A wanted cell without trials is listed too.

    Raises:
        SkiplabError: where a wanted factor is unknown.
    """
    wanted = dict(wanted or {})
    for name in wanted:
        if name not in study.factors:
            constant(study, name)
    others = [name for name in cell_factors(study, factor, over) if name not in wanted]
    found = frame_rows(study.trials.loc[:, others].drop_duplicates().sort_values(others)) if others else [{}]
    named = [dict(zip(wanted, levels, strict=True)) for levels in itertools.product(*wanted.values())]
    return [{**levels, **rest} for levels in named for rest in found]


def in_cell(study: Study, trials: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """Those of the study's trials, or of rows with their index, that lie in a cell; levels are compared as text."""
    return trials.loc[_is_in_cell(study, cell_levels(cell)).loc[trials.index]]


def cell_levels(cell: Cell) -> tuple[tuple[str, str], ...]:
    """The factors of a cell with their levels as text."""
    return tuple((name, level_text(level)) for name, level in cell.items())


@cached_per_study
def _is_in_cell(study: Study, levels: tuple[tuple[str, str], ...]) -> pd.Series:
    """For each trial whether it lies in a cell."""
    inside = pd.Series(True, index=study.trials.index)
    for name, text in levels:
        inside &= _level_texts(study, name) == text
    return inside


@cached_per_study
def _level_texts(study: Study, factor: str) -> pd.Series:
    """A factor's level in each trial as text."""
    if factor in study.factors:
        texts = column(study.trials, factor).astype(object).map(level_text)
    else:
        texts = pd.Series(level_text(constant(study, factor)), index=study.trials.index)
    return texts.astype("category")


def factor_under_test(study: Study, factor: str | None) -> str:
    """The factor under test: the one asked for, else connection where it varies or several others do, else what varies.

    An axis and the settings below it are one factor.
    """
    if factor is not None:
        return factor
    axes = [name for name in study.factors if not any(name.startswith(f"{other}.") for other in study.factors)]
    return axes[0] if len(axes) == 1 else DEFAULT_FACTOR


def control_arm(arms: Sequence[str], control: str | None) -> str:
    """The arm compared against: the one asked for, else plain, else the first.

    Raises:
        SkiplabError: where there is no such arm.
    """
    if control is None:
        return "plain" if "plain" in arms else arms[0]
    if control not in arms:
        raise SkiplabError(unknown_name("control", control, arms))
    return control
