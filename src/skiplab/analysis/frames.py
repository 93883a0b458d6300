"""Typed access to data frames whose columns are named by text."""

from typing import Any, cast

import pandas as pd


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """One column; pandas' own types allow for several of the same name."""
    return cast("pd.Series", frame[name])


def frame_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A mapping from column to entry for each row."""
    return cast("list[dict[str, Any]]", frame.to_dict("records"))
