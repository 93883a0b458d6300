"""The lengths and hashes of a record's finished files, by which loss and change of data are noticed later.

A length in bytes can be compared without reading the file, and the rows of a table say how much is lost. Who reads a
file compares its hash.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from skiplab.records.file_names import CONFIG, EVALUATION_FILES, TRAINING_FILES, WEIGHTS
from skiplab.records.foreign_files import MOST_TABLE_BYTES, read_own
from skiplab.records.record_schema import FinishedFile, RecordContent


class Truncated(NamedTuple):
    """A file that is shorter than its record says. left: what is left of it, in words."""

    file: str
    left: str


def finished_files(folder: Path, names: Sequence[str]) -> dict[str, FinishedFile]:
    """The lengths and hashes of those of these files that exist."""
    return {name: _finished(folder / name) for name in names if (folder / name).exists()}


def check_unchanged(content: bytes, recorded: FinishedFile | None) -> None:
    """Check that a file holds what it held when it was finished; one that was cut off is told of elsewhere.

    Args:
        content: what it holds.
        recorded: its entry in the record's `files`; None, or one without a hash: nothing to compare with.

    Raises:
        ValueError: if it was changed.
    """
    if recorded is None or "sha256" not in recorded or len(content) < recorded["bytes"]:
        return
    if hashlib.sha256(content).hexdigest() != recorded["sha256"]:
        raise ValueError("it was changed after it was written")


def without_hash(content: RecordContent) -> list[str]:
    """The files of a finished record whose changes would go unnoticed, as its record is older than such hashes."""
    found = [name for name in (CONFIG, *content["files"]) if "sha256" not in content["files"].get(name, {})]
    return [name for name in found if name != WEIGHTS or content["trained"] is None]


def truncated_files(
    folder: Path | str,
    recorded: Mapping[str, FinishedFile],
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


def _finished(path: Path) -> FinishedFile:
    if path.name == WEIGHTS:  # their hash stands in `trained`
        return {"bytes": path.stat().st_size}
    content = path.read_bytes()
    found: FinishedFile = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return {**found, "rows": _num_rows(content)} if path.suffix == ".csv" else found


def _num_bytes(path: str) -> int | None:
    """None if there is no such file."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _describe(path: Path, left: int | None, recorded: FinishedFile) -> str:
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
