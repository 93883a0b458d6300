"""Reading the tables of a record, whatever was left in them."""

import io
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from skiplab.records.file_names import ColumnType, Table
from skiplab.records.finished_files import check_unchanged
from skiplab.records.foreign_files import MOST_TABLE_BYTES, read_own
from skiplab.records.record_schema import FinishedFile

_MAY_LACK = ("y", "value")  # numbers that a row may be without
_NO_NUMBER = ["", "nan", "NaN"]


class TableContent(NamedTuple):
    """rows: those that can be read. num_unreadable: how many can't."""

    rows: pd.DataFrame
    num_unreadable: int


def read_table(folder: Path, table: Table, files: Mapping[str, FinishedFile]) -> TableContent:
    """Read a table of the trial in a folder, without an incomplete last line; of repeated rows the last one counts.

    Args:
        folder: the record's.
        table: the table.
        files: the record's `files`, with the hash of the table if it is finished.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is no such table, or was changed after it was finished.
    """
    content = read_own(folder / table.file, MOST_TABLE_BYTES)
    check_unchanged(content, files.get(table.file))
    rows, num_unreadable = _parse(content, table)
    return TableContent(rows.drop_duplicates(list(table.identity), keep="last"), num_unreadable)


def empty_table(table: Table) -> pd.DataFrame:
    """A table without rows."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in table.types.items()})


def _parse(content: bytes, table: Table) -> TableContent:
    complete = content[: content.rfind(b"\n") + 1].decode(errors="replace")
    if not complete:
        return TableContent(empty_table(table), 0)
    header = complete.split("\n", 1)[0].strip()
    if header != ",".join(table.columns):
        raise ValueError(f"its header is {header[:80]!r}; valid: {','.join(table.columns)}")
    # nothing is missing in a column of texts: a line may be named 'None'
    missing = {name: _NO_NUMBER for name, kind in table.types.items() if kind == "float64"}
    try:
        rows = pd.read_csv(io.StringIO(complete), dtype=_dtypes(table), keep_default_na=False, na_values=missing)
        return TableContent(rows, 0)
    except (ValueError, OverflowError):
        return _parse_row_by_row(complete, table)


def _parse_row_by_row(text: str, table: Table) -> TableContent:
    num_rows = sum(bool(line.strip()) for line in text.splitlines()) - 1
    raw = pd.read_csv(
        io.StringIO(text), dtype="str", on_bad_lines="skip", keep_default_na=False, quoting=3, index_col=False
    )
    readable = pd.Series(True, index=raw.index)
    for name, kind in table.types.items():
        if kind != "str":
            raw[name], valid = _numbers(pd.Series(raw[name]), name, kind)
            readable &= valid
    rows = raw.loc[readable].astype(_dtypes(table))
    return TableContent(rows, num_rows - len(rows))


def _numbers(texts: pd.Series, name: str, kind: ColumnType) -> tuple[pd.Series, pd.Series]:
    """The numbers of a column, and which of its cells are valid."""
    numbers = pd.Series(pd.to_numeric(texts, errors="coerce"), index=texts.index)
    if name in _MAY_LACK:
        return numbers, numbers.notna() | texts.str.lower().isin(("nan", ""))
    whole = (numbers % 1 == 0) & (numbers.abs() < 2**63)
    return numbers, numbers.notna() & (whole | (kind != "int64"))


def _dtypes(table: Table) -> dict[Hashable, Any]:
    """The types of the columns, as pandas annotates such a mapping."""
    return {name: kind for name, kind in table.types.items()}
