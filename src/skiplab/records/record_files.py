"""How long the tables, pictures and weights of a finished record are, so that one that was cut off later is noticed.

A file's length in bytes tells that without reading it; the rows of a table say how much is missing.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from skiplab.records.foreign_files import MOST_TABLE_BYTES, read_own

WEIGHTS = "weights.safetensors"
TRAINED = ("history.csv", "layers.csv", WEIGHTS)  # written while a trial trains; a diverged one has no weights
MEASURED = ("measurements.csv", "samples.png")  # written by evaluators


def lengths(folder: Path, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """What the record keeps of those of these files that are there."""
    return {name: _length(folder / name) for name in names if (folder / name).exists()}


def cut_off(folder: Path | str, kept: Any, names: Sequence[str] = (*TRAINED, *MEASURED)) -> Iterator[tuple[str, str]]:
    """The files that are shorter than the record says, each with what is left of it.

    Args:
        folder: the record's.
        kept: its `files`, what `lengths` said when they were finished; one that isn't named there isn't looked at.
        names: the files that are looked at.
    """
    for name in names if isinstance(kept, dict) else ():
        length = kept.get(name)
        if isinstance(length, dict) and isinstance(length.get("bytes"), int):
            left = _num_bytes(f"{folder}/{name}")
            if left is None or left < length["bytes"]:
                yield name, _loss(Path(folder, name), left, length)


def explain_cut_off(folder: Path, record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same of all files of a record, with what to do."""
    again = {name: "run.rerun=true trains the trial again" for name in TRAINED}
    evaluators = ",".join(record.get("evaluators") or ())
    remedy = f"`skiplab evaluate {folder} 'evaluator=[{evaluators}]'` measures it again"
    return [(name, f"{loss}; {again.get(name, remedy)}") for name, loss in cut_off(folder, record.get("files"))]


def _length(path: Path) -> dict[str, int]:
    if path.suffix != ".csv":
        return {"bytes": path.stat().st_size}
    content = path.read_bytes()
    return {"bytes": len(content), "rows": _num_rows(content)}


def _num_bytes(path: str) -> int | None:
    """None where there is no such file."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _loss(path: Path, left: int | None, length: Mapping[str, Any]) -> str:
    if left is None:
        return "it is missing"
    if "rows" in length:
        try:
            return f"it is cut off, {_num_rows(read_own(path, MOST_TABLE_BYTES))} of {length['rows']} rows are left"
        except (OSError, ValueError):
            pass  # a pipe, or a link out of the record; its length is told all the same
    return f"it is cut off, {left} of {length['bytes']} bytes are left"


def _num_rows(content: bytes) -> int:
    """Complete lines below the header."""
    return max(0, content.count(b"\n") - 1)
