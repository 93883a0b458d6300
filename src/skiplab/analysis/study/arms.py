"""Arms and cells: what a study compares, and where."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skiplab.analysis.frames import column, frame_rows
from skiplab.analysis.study.cached_per_study import cached_per_study
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import level_text, unknown_name
from skiplab.errors import SkiplabError
from skiplab.printable import printable

Cell = dict[str, Any]
CellLevels = tuple[tuple[str, str], ...]  # the factors of a cell with their levels as text
DEFAULT_FACTOR = "connection"
MODULE = "module"  # the choice that only trials of a LightningModule have


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
    if "arm" in study.factors and factor != "arm":
        raise SkiplabError(
            f"a factor is named 'arm', which stands for the arms of {printable(factor)} here; valid: any other name"
        )
    if factor not in study.factors:
        trials = trials.assign(**{factor: level_text(constant(study, factor))})
    own = [name for name in study.factors if name.startswith(f"{factor}.")]
    group = trials.groupby([factor, *own], observed=True, dropna=False, sort=False).ngroup()
    kinds = trials.loc[~group.duplicated(), [factor, *own]]  # in the order of the groups
    kinds = kinds.assign(arm=[_arm_name(row, factor, own) for row in frame_rows(kinds.astype(object))])
    names = kinds["arm"].to_numpy()[group]
    order = kinds.sort_values([factor, *own], kind="stable")["arm"]
    return study.trials.assign(arm=pd.Categorical(names, categories=list(dict.fromkeys(order)), ordered=True))


def _arm_name(row: Mapping[str, Any], factor: str, own: Sequence[str]) -> str:
    settings = (f"{name.split('.', 1)[1]} {level_text(row[name])}" for name in own if pd.notna(row[name]))
    return ", ".join([level_text(row[factor]), *settings])


def constant(study: Study, name: str) -> Any:
    """The value of a choice or setting that is the same in all trials; None in a study without trials.

    Raises:
        SkiplabError: where there is no such choice or setting.
    """
    if name in study.constants or study.trials.empty:
        return study.constants.get(name)
    raise SkiplabError(
        f"unknown factor {printable(name)!r}; valid in study {printable(study.name)!r}: "
        f"{printable(', '.join(study.factors)) or 'none that varies'}, or a setting that all its trials share"
    )


def status_counts(study: Study) -> str:
    """How many trials have each status, such as '7 done, 1 failed'."""
    counts = study.trials["status"].value_counts()
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "none"


def cell_factors(study: Study, factor: str, *within: str | None) -> list[str]:
    """The factors whose levels make up a cell: all but the one under test, its own settings, and what varies within."""
    return [name for name in study.factors if name not in (factor, *within) and not name.startswith(f"{factor}.")]


def cells(
    study: Study,
    factor: str,
    *,
    within: Sequence[str | None] = (),
    wanted: Mapping[str, Sequence[Any]] | None = None,
) -> list[Cell]:
    """The cells to compare in: the product of the wanted levels, times what else varies in the study.

    Args:
        study: the study.
        factor: what is compared.
        within: factors that vary within a cell.
        wanted: levels of factors, to compare in these alone.

    A wanted cell is listed even if it has no trials.

    Raises:
        SkiplabError: where a wanted factor is unknown.
    """
    wanted = dict(wanted or {})
    for name in wanted:
        if name not in study.factors:
            constant(study, name)
    others = [name for name in cell_factors(study, factor, *within) if name not in wanted]
    found = frame_rows(study.trials.loc[:, others].drop_duplicates().sort_values(others)) if others else [{}]
    named = [dict(zip(wanted, levels, strict=True)) for levels in itertools.product(*wanted.values())]
    return [{**levels, **rest} for levels in named for rest in found]


def in_cell(study: Study, trials: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """The trials that lie in a cell; levels are compared as text.

    Args:
        study: the study.
        trials: rows with the index of the study's trials.
        cell: a level for each factor that tells it apart from other cells.
    """
    positions = positions_in_cell(study, cell_levels(cell))
    if trials.index.equals(study.trials.index):
        return trials.take(positions)
    return trials.loc[trials.index.isin(study.trials.index[positions])]


def cell_levels(cell: Cell) -> CellLevels:
    """The factors of a cell with their levels as text."""
    return tuple((name, level_text(level)) for name, level in cell.items())


@cached_per_study
def positions_by_arm(study: Study, factor: str, levels: CellLevels) -> Mapping[str, np.ndarray]:
    """Where the trials of each arm in a cell stand among the study's trials."""
    positions, arms = positions_in_cell(study, levels), column(_with_arms(study, factor), "arm").cat
    codes = arms.codes.to_numpy()[positions]
    return {str(arms.categories[code]): positions[codes == code] for code in np.unique(codes)}


def positions_in_cell(study: Study, levels: CellLevels) -> np.ndarray:
    """Where the trials of a cell, given by its `cell_levels`, stand among the study's trials."""
    found = _positions_by_cell(study, tuple(name for name, _ in levels))
    return found.get(tuple(text for _, text in levels), np.array([], dtype=int))


@cached_per_study
def _positions_by_cell(study: Study, names: tuple[str, ...]) -> dict[tuple[str, ...], np.ndarray]:
    """For each combination of levels of these factors, as text, where its trials stand."""
    if not names:
        return {(): np.arange(len(study.trials))}
    found: dict[tuple[str, ...], list[int]] = {}
    for position, texts in enumerate(zip(*(_level_texts(study, name) for name in names), strict=True)):
        found.setdefault(texts, []).append(position)
    return {texts: np.array(positions) for texts, positions in found.items()}


@cached_per_study
def _level_texts(study: Study, factor: str) -> Sequence[str]:
    """A factor's level in each trial as text."""
    if factor not in study.factors:
        return [level_text(constant(study, factor))] * len(study.trials)
    codes, levels = pd.factorize(column(study.trials, factor).astype(object), use_na_sentinel=False)
    texts = [level_text(level) for level in levels]
    return [texts[code] for code in codes]


def factor_under_test(study: Study, factor: str | None) -> str:
    """The given factor; None: the arms of a table of results, else the only one that varies, else connection.

    An axis and its own settings are one factor. Of trials of a LightningModule, the first that varies.
    """
    if (given := factor or study.arm_column) is not None:
        return given
    axes = [name for name in study.factors if not any(name.startswith(f"{other}.") for other in study.factors)]
    if MODULE in {*study.constants, *study.factors}:  # which has no connection
        return axes[0] if axes else MODULE
    return axes[0] if len(axes) == 1 else DEFAULT_FACTOR


def control_arm(arms: Sequence[str], control: object) -> str:
    """The given arm, by its name or as the level that it is; None: plain if there is such an arm, else the first.

    Raises:
        SkiplabError: where there is no such arm.
    """
    if control is None:
        return "plain" if "plain" in arms else arms[0]
    if (name := level_text(control)) not in arms:
        raise SkiplabError(unknown_name("control", name, arms))
    return name
