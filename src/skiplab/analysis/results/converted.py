"""The columns of a table of results as the analysis needs them: levels, seeds, numbers and statuses."""

from collections.abc import Mapping
from typing import cast

import numpy as np
import pandas as pd
from pandas.api import types

from skiplab.analysis.frames import column
from skiplab.analysis.results.rows import is_blank, rows_text
from skiplab.analysis.text import level_text
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.statuses import STATUSES, Status

_LARGEST_FLOAT = 2**53  # above it, some whole numbers are no floats
_NO_NUMBER = ("nan", "na", "n/a", "none", "null", "-", "")
# What trackers call the end of a run.
_STATUSES: Mapping[str, Status] = {
    **{name: name for name in STATUSES},
    **dict.fromkeys(("finished", "completed", "complete", "success", "succeeded", "ok"), "done"),
    **dict.fromkeys(("crashed", "error", "killed"), "failed"),
    **dict.fromkeys(("pending", "scheduled", "queued"), "running"),
    **dict.fromkeys(("preempted", "preempting", "stopped"), "interrupted"),
}


def levels(frame: pd.DataFrame, name: str, role: str, most: int) -> pd.Series:
    """The levels of a factor: numbers, or a categorical of texts in the order in which they come.

    Raises:
        SkiplabError: rows have none, or there are more than `most` levels.
    """
    values = _filled(frame, name, role)
    codes, found = _factorized(values, name, role)
    if len(found) > most:
        raise SkiplabError(
            f"the column {printable(name)!r} has {len(found)} levels as {role}; valid: up to {most}; is it the right "
            "column?"
        )
    numbers = _as_numbers(values)
    if numbers is None:
        texts = list(dict.fromkeys(found))
        return pd.Series(pd.Categorical(found[codes], categories=texts, ordered=True), index=values.index)
    infinite = ~np.isfinite(np.asarray(numbers, dtype=float))
    if infinite.any():
        raise SkiplabError(
            f"the column {printable(name)!r} is infinite as {role} in {rows_text(infinite)}; valid: finite numbers, or "
            "text"
        )
    return numbers


def seeds(frame: pd.DataFrame, name: str, role: str) -> pd.Series:
    """The seeds, or whatever makes pairs: numbers, or texts.

    Raises:
        SkiplabError: rows have none.
    """
    values = _filled(frame, name, role)
    numbers = _as_numbers(values)
    if numbers is not None:
        return numbers
    codes, found = _factorized(values, name, role)
    return pd.Series(found[codes], index=values.index)


def numbers(frame: pd.DataFrame, name: str) -> pd.Series:
    """The values of a metric; nan where there is none.

    Raises:
        SkiplabError: the column holds text, dates or anything else that is no number.
    """
    values = column(frame, name)
    if types.is_bool_dtype(values) or (types.is_numeric_dtype(values) and not types.is_complex_dtype(values)):
        return pd.Series(values.to_numpy(dtype=float, na_value=np.nan), index=values.index)
    if types.is_datetime64_any_dtype(values) or types.is_timedelta64_dtype(values) or types.is_complex_dtype(values):
        raise SkiplabError(f"the column {printable(name)!r} holds {values.dtype}; valid for a metric: numbers")
    texts = values.map(lambda value: "" if _is_missing(value) else str(value).strip())
    found = pd.Series(pd.to_numeric(texts, errors="coerce"), index=values.index).astype(float)
    wrong = found.isna() & ~texts.str.lower().isin(_NO_NUMBER)
    if wrong.any():
        first = str(texts.loc[wrong].iloc[0])
        raise SkiplabError(
            f"the column {printable(name)!r} holds {printable(first)!r:.60} in {rows_text(wrong)}; valid for a metric: "
            f"numbers{_hint(first)}"
        )
    return found


def _hint(text: str) -> str:
    """How to write a text as a number."""
    if text.endswith("%"):
        return "; write 93.1 for 93.1%"
    if "," in text and "." in text:
        return "; leave out what separates thousands"
    return "; write a point for a decimal comma" if "," in text else ""


def statuses(frame: pd.DataFrame, name: str | None) -> pd.Series:
    """How each run ended; 'done' without such a column.

    Raises:
        SkiplabError: a status is unknown.
    """
    if name is None:
        return pd.Series("done", index=frame.index)
    texts = _filled(frame, name, "status").map(lambda value: str(value).strip().lower())
    wrong = ~texts.isin(list(_STATUSES))
    if wrong.any():
        raise SkiplabError(
            f"the column {printable(name)!r} has the status {printable(texts.loc[wrong].iloc[0])!r:.60} in "
            f"{rows_text(wrong)}; valid: {', '.join(_STATUSES)}"
        )
    return texts.map(dict(_STATUSES))


def _filled(frame: pd.DataFrame, name: str, role: str) -> pd.Series:
    values = column(frame, name)
    blank = is_blank(values)
    if blank.any():
        raise SkiplabError(
            f"no {role} in the column {printable(name)!r} in {rows_text(blank)}; valid: one in each row; give it, or "
            "remove the row"
        )
    return values


def _factorized(values: pd.Series, name: str, role: str) -> tuple[np.ndarray, np.ndarray]:
    """For each row the place of its text, and the texts of the different values."""
    try:
        codes, found = pd.factorize(values.astype(object))
    except TypeError:  # what has no hash
        kind = next(type(value).__name__ for value in values if isinstance(value, list | dict | set | np.ndarray))
        raise SkiplabError(f"the column {printable(name)!r} holds a {kind} as {role}; valid: text or numbers") from None
    return codes, np.array([level_text(value).strip() for value in found], dtype=object)


def _as_numbers(values: pd.Series) -> pd.Series | None:
    """The column as numbers, whole ones where all are; None if it is none of numbers."""
    if types.is_bool_dtype(values) or not types.is_numeric_dtype(values) or types.is_complex_dtype(values):
        return None
    if types.is_integer_dtype(values):
        return values.astype("int64") if cast("int", values.max()) < 2**63 else None
    found = values.to_numpy(dtype=float)
    with np.errstate(invalid="ignore"):
        whole = (found % 1 == 0) & (np.abs(found) < _LARGEST_FLOAT)
    return pd.Series(found.astype("int64") if whole.all() else found, index=values.index)


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value
