"""CSV for spreadsheets: numbers in full precision, texts as they are and never run as formulas."""

import re
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from skiplab.printable import one_line

# How the cell of a formula starts; in countries whose lists are separated by semicolons, also after each of them.
_FORMULA = re.compile(r"(^|;)(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


def csv_text(table: pd.DataFrame) -> str:
    """The table without its index, with an apostrophe before text that a spreadsheet would take for a formula."""
    columns = [table.iloc[:, place] for place in range(table.shape[1])]
    shown = {place: own if is_numeric_dtype(own) else _shown(own) for place, own in enumerate(columns)}
    names = [_cell(name) for name in table.columns]
    return pd.DataFrame(shown, index=table.index).to_csv(index=False, header=names, lineterminator="\n")


def _shown(column: pd.Series) -> pd.Series:
    return pd.Series([_cell(value) for value in column], index=column.index, dtype=object)


def _cell(value: Any) -> Any:
    """A text as a cell; a number stays as it is, and so does a text that reads as one."""
    if not isinstance(value, str) or _is_number(value):
        return value
    return _FORMULA.sub(r"\1\2'", one_line(value))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isprintable()
