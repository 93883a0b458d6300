"""The tables of a record; of append-only ones a torn last line is left out and of repeated rows the last one counts."""

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from skiplab.records.foreign_files import MOST_TABLE_BYTES, read_own

_COLUMNS = {
    "history.csv": ("step", "metric", "value"),
    "layers.csv": ("step", "index", "path", "quantity", "value"),
    "measurements.csv": ("evaluator", "chart", "line", "x", "y", "value"),
}
_IDENTITY = {
    "history.csv": ["step", "metric"],
    "layers.csv": ["step", "path", "quantity"],
    "measurements.csv": ["evaluator", "chart", "line", "x", "y"],
}
_TYPES = {
    "step": "int64",
    "index": "int64",
    "x": "float64",
    "y": "float64",
    "value": "float64",
    "metric": "str",
    "path": "str",
    "quantity": "str",
    "evaluator": "str",
    "chart": "str",
    "line": "str",
}
_MAY_LACK = ("y", "value")  # numbers that a row may be without
_NO_NUMBER = ["", "nan", "NaN"]


def read_series(runs_dir: Path, keys: Sequence[str], name: str) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """The tables `name` of these trials, one below the other, and what could not be read of them.

    A trial without the file has not begun to write it: it has no rows, and that is no problem.
    """
    columns = _COLUMNS[name]
    frames, problems = [], []
    for key in keys:
        path = runs_dir / key / name
        try:
            frame, num_bad = _read(read_own(path, MOST_TABLE_BYTES), columns)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            problems.append((str(path), str(error)))
            continue
        if num_bad:
            problems.append((str(path), f"{num_bad} rows can't be read and are left out"))
        frame = frame.drop_duplicates(_IDENTITY[name], keep="last")
        if "step" in columns:
            frame = frame.sort_values("step", kind="stable")
        frames.append(frame.assign(key=key))
    if not frames:
        empty = {column: pd.Series(dtype=_TYPES.get(column, "str")) for column in ("key", *columns)}
        return pd.DataFrame(empty), problems
    return pd.concat(frames, ignore_index=True)[["key", *columns]], problems


def _read(content: bytes, columns: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """The rows, and how many of them were unreadable.

    Raises:
        ValueError: where the header is another table's.
    """
    complete = content[: content.rfind(b"\n") + 1].decode(errors="replace")
    if not complete:
        return pd.DataFrame({column: pd.Series(dtype=_TYPES[column]) for column in columns}), 0
    header = complete.split("\n", 1)[0].strip()
    if header != ",".join(columns):
        raise ValueError(f"its header is {header[:80]!r}; valid: {','.join(columns)}")
    types = {name: _TYPES[name] for name in columns}
    missing = {name: _NO_NUMBER for name, kind in types.items() if kind == "float64"}  # a line may be named 'None'
    try:
        return pd.read_csv(io.StringIO(complete), dtype=types, keep_default_na=False, na_values=missing), 0
    except (ValueError, OverflowError):
        return _read_what_can_be(complete, columns)


def _read_what_can_be(text: str, columns: Sequence[str]) -> tuple[pd.DataFrame, int]:
    num_rows = sum(bool(line.strip()) for line in text.splitlines()) - 1
    raw = pd.read_csv(
        io.StringIO(text), dtype="str", on_bad_lines="skip", keep_default_na=False, quoting=3, index_col=False
    )
    good = pd.Series(True, index=raw.index)
    for name in columns:
        if _TYPES[name] != "str":
            numbers = pd.to_numeric(raw[name], errors="coerce")
            if name in _MAY_LACK:
                good &= numbers.notna() | raw[name].str.lower().isin(("nan", ""))
            else:
                whole = (numbers % 1 == 0) & (numbers.abs() < 2**63)
                good &= numbers.notna() & (whole | (_TYPES[name] != "int64"))
            raw[name] = numbers
    frame = raw[good].astype({name: _TYPES[name] for name in columns})
    return frame, num_rows - len(frame)
