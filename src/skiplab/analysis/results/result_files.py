"""Reads a table of results from a file: CSV, Parquet or JSON lines."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.foreign_files import MOST_TABLE_BYTES, read_bytes

_SEPARATORS = ",;\t"
_MOST_SHOWN = 80  # characters of a library's message
# What pandas takes for missing, without None and null: an arm without shortcuts may well be called None.
_MISSING = ("", "NA", "N/A", "n/a", "<NA>", "#N/A", "NaN", "nan", "-NaN", "-nan")


def is_results_file(name: str) -> bool:
    """Whether a name is that of a file rather than of a study."""
    path = Path(name)
    return path.suffix.lower() in _READERS or (bool(path.suffix) and path.is_file())


def read_results(path: Path) -> pd.DataFrame:
    """The table in a file; its ending says the format.

    Raises:
        SkiplabError: there is no such file, or it holds no table of this format.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise SkiplabError(f"{printable(path)} is no table of results; valid endings: {', '.join(_READERS)}")
    try:
        content = read_bytes(path, MOST_TABLE_BYTES)
    except OSError as error:
        raise SkiplabError(
            f"can't read {printable(path)}: {error.strerror}; give a file with a row for each run"
        ) from None
    except ValueError as error:
        raise SkiplabError(f"can't read {printable(path)}: {error}; give a file with a row for each run") from None
    try:
        return reader(content)
    except ValueError as error:
        raise SkiplabError(f"{printable(path)}: {printable(error)}") from None


def _read_csv(content: bytes) -> pd.DataFrame:
    text = _utf8(content)
    separator = max(_SEPARATORS, key=_first_line(text).count)
    header = next(csv.reader([_first_line(text)], delimiter=separator), [])
    names = [name.strip() for name in header]
    if not any(names):
        raise ValueError("it is empty; valid: a line of column names, then a line for each run")
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two columns are named {twice[0]!r}; valid: a different name for each column")
    try:
        return pd.read_csv(
            io.StringIO(text),
            sep=separator,
            header=0,
            names=names,
            index_col=False,
            skipinitialspace=True,
            keep_default_na=False,
            na_values=_MISSING,
            low_memory=False,
            on_bad_lines="error",
        )
    except pd.errors.ParserError as error:
        message = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise ValueError(f"it is no table: {message}; valid: as many entries in each line as column names") from None
    except pd.errors.ParserWarning as warning:
        raise ValueError(f"it is no table: {warning}; valid: as many entries in each line as column names") from None


def _read_json_lines(content: bytes) -> pd.DataFrame:
    rows = []
    for number, line in enumerate(_utf8(content).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError(
                f'line {number} is no JSON; valid: an object for each run, such as {{"arm": "plain"}}'
            ) from None
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is {line.strip()[:40]!r}; valid: an object for each run")
        rows.append(row)
    nested = any(isinstance(value, dict) for row in rows for value in row.values())
    return pd.json_normalize(rows) if nested else pd.DataFrame(rows)


def _read_parquet(content: bytes) -> pd.DataFrame:
    try:
        return pd.read_parquet(io.BytesIO(content))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(f"it is no Parquet file: {str(error)[:_MOST_SHOWN]}") from None


def _utf8(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"it is not UTF-8 text: byte {content[error.start]:#x} in line {line}; save it as UTF-8"
        ) from None


def _first_line(text: str) -> str:
    return text.lstrip("\n\r").split("\n", 1)[0].rstrip("\r")


_READERS: dict[str, Callable[[bytes], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}
