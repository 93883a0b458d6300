"""The lengths of a record's finished files, by which files that lost data later are noticed.

A length in bytes can be compared without reading the file; the rows of a table say how much is lost.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from skiplab.records.file_names import EVALUATION_FILES, TRAINING_FILES
from skiplab.records.foreign_files import MOST_TABLE_BYTES, read_own
from skiplab.records.record_schema import FileLength, RecordContent


class Truncated(NamedTuple):
    """A file that is shorter than its record says. left: what is left of it, in words."""

    file: str
    left: str


def file_lengths(folder: Path, names: Sequence[str]) -> dict[str, FileLength]:
    """The lengths of those of these files that exist."""
    return {name: _length(folder / name) for name in names if (folder / name).exists()}


def truncated_files(
    folder: Path | str,
    recorded: Mapping[str, FileLength],
    names: Sequence[str] = (*TRAINING_FILES, *EVALUATION_FILES),
) -> Iterator[Truncated]:
    """The files that are shorter than they were when they were finished.

    Args:
        folder: the record's.
        recorded: the record's `files`; files that it doesn't have aren't checked.
        names: the files to check.
    """
    for name in names:
        if name in recorded:
            left = _num_bytes(f"{folder}/{name}")
            if left is None or left < recorded[name]["bytes"]:
                yield Truncated(name, _describe(Path(folder, name), left, recorded[name]))


def explain_truncated(folder: Path, content: RecordContent) -> list[tuple[str, str]]:
    """The truncated files of a record, each with what is left and what to do."""
    remedies = {name: "run.rerun=true trains the trial again" for name in TRAINING_FILES}
    evaluators = ",".join(content["evaluators"])
    other = f"`skiplab evaluate {folder} 'evaluator=[{evaluators}]'` measures it again"
    return [(name, f"{left}; {remedies.get(name, other)}") for name, left in truncated_files(folder, content["files"])]


def _length(path: Path) -> FileLength:
    if path.suffix != ".csv":
        return {"bytes": path.stat().st_size}
    content = path.read_bytes()
    return {"bytes": len(content), "rows": _num_rows(content)}


def _num_bytes(path: str) -> int | None:
    """None if there is no such file."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _describe(path: Path, left: int | None, recorded: FileLength) -> str:
    if left is None:
        return "it is missing"
    if "rows" in recorded:
        try:
            return f"it is cut off, {_num_rows(read_own(path, MOST_TABLE_BYTES))} of {recorded['rows']} rows are left"
        except (OSError, ValueError):
            pass  # a pipe, or a link out of the record, has a length too
    return f"it is cut off, {left} of {recorded['bytes']} bytes are left"


def _num_rows(content: bytes) -> int:
    """Complete lines below the header."""
    return max(0, content.count(b"\n") - 1)
