"""Arms and cells: what a study compares, and where."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from skiplab.analysis.study.study import Study
from skiplab.analysis.text import level_text, unknown_name
from skiplab.errors import SkiplabError
from skiplab.printable import printable

Cell = dict[str, Any]
DEFAULT_FACTOR = "connection"


def with_arms(study: Study, factor: str) -> pd.DataFrame:
    """The study's trials with their arm: the factor's level, and the settings below it that vary.

    Raises:
        SkiplabError: where nothing of that name is known.
    """
    if ("arm", factor) not in study.derived:
        study.derived["arm", factor] = study.trials.assign(arm=_arms(study, factor))
    return study.derived["arm", factor].copy(deep=False)


def _arms(study: Study, factor: str) -> pd.Categorical:
    trials = study.trials
    if factor not in study.factors:
        trials = trials.assign(**{factor: level_text(constant(study, factor))})
    own = [name for name in study.factors if name.startswith(f"{factor}.")]
    names = [
        ", ".join(
            [
                level_text(row[factor]),
                *(f"{n.split('.', 1)[1]} {level_text(row[n])}" for n in own if pd.notna(row[n])),
            ]
        )
        for row in trials[[factor, *own]].astype(object).to_dict("records")
    ]
    order = trials.assign(arm=names).sort_values([factor, *own], kind="stable")["arm"]
    return pd.Categorical(names, categories=list(dict.fromkeys(order)), ordered=True)


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
    found = study.trials[others].drop_duplicates().sort_values(others).to_dict("records") if others else [{}]
    named = [dict(zip(wanted, levels, strict=True)) for levels in itertools.product(*wanted.values())]
    return [{**chosen, **rest} for chosen in named for rest in found]


def in_cell(study: Study, trials: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """The trials of a cell; levels are compared as they are written."""
    texts = tuple((name, level_text(level)) for name, level in cell.items())
    if ("cell", texts) not in study.derived:
        chosen = pd.Series(True, index=study.trials.index)
        for name, text in texts:
            chosen &= _texts(study, name) == text
        study.derived["cell", texts] = chosen
    return trials[study.derived["cell", texts].loc[trials.index]]


def _texts(study: Study, factor: str) -> pd.Series | str:
    """A factor's level as it is written, in each trial or, where it doesn't vary, in all."""
    if factor not in study.factors:
        return level_text(constant(study, factor))
    if ("text", factor) not in study.derived:
        texts = study.trials[factor].astype(object).map(level_text)
        study.derived["text", factor] = texts.astype("category")
    return study.derived["text", factor]


def chosen_factor(study: Study, factor: str | None) -> str:
    """The factor under test: the one asked for, else connection where it varies or several others do, else what varies.

    An axis and the settings below it are one factor.
    """
    if factor is not None:
        return factor
    axes = [name for name in study.factors if not any(name.startswith(f"{other}.") for other in study.factors)]
    return axes[0] if len(axes) == 1 else DEFAULT_FACTOR


def chosen_control(arms: Sequence[str], control: str | None) -> str:
    """The arm compared against: the one asked for, else plain, else the first.

    Raises:
        SkiplabError: where there is no such arm.
    """
    if control is None:
        return "plain" if "plain" in arms else arms[0]
    if control not in arms:
        raise SkiplabError(unknown_name("control", control, arms))
    return control
