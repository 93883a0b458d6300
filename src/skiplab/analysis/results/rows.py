"""How a message names the rows of a table."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

_MOST_NAMED = 3


def rows_text(chosen: ArrayLike) -> str:
    """The chosen rows, counted from 1 below the header: `row 3`, `rows 3, 7, 9 and 12 more`."""
    found = [str(place + 1) for place in np.flatnonzero(np.asarray(chosen))]
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"row{'s' if len(found) > 1 else ''} {', '.join(found[:_MOST_NAMED])}{more}"


def is_blank(values: pd.Series) -> pd.Series:
    """Where a column has no value, or text without a letter."""
    blank = values.isna()
    if pd.api.types.is_numeric_dtype(values):
        return blank
    texts = values.astype(str)
    return blank | texts.isin([text for text in texts.unique() if isinstance(text, str) and not text.strip()])
