"""What can still be used of an interrupted trial, whose files may be damaged or swapped."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path

from skiplab.errors import SkiplabError
from skiplab.records.file_names import HISTORY, LAYERS
from skiplab.records.record import Record
from skiplab.records.record_schema import Mark, RecordContent
from skiplab.records.statuses import FINISHED
from skiplab.training.checkpoints import damage, newest_first, signature, table_damage
from skiplab.training.weights import read_weights

_TABLES = {table.name: table for table in (HISTORY, LAYERS)}


def salvage(record: Record) -> str:
    """Set damaged files of a trial aside, so that training resumes from an earlier checkpoint or starts again.

    Returns:
        A sentence about what was found and done; empty if nothing is wrong.

    Raises:
        SkiplabError: if a finished trial's weights can't be used; its results stay, so it isn't trained again.
    """
    content = record.read_if_any()
    trained = _marks(content)
    if content is not None and content["status"] in FINISHED:
        if content["status"] == "done":
            read_weights(record.weights, content)
        return "" if table_damage(record, trained) else _cut_behind(record, trained)
    damaged: dict[Path, str] = {}
    if content is not None and record.weights.exists():
        reason = _weights_damage(record, content, trained)
        if not reason:
            return _cut_behind(record, trained)
        damaged[record.weights] = reason
    usable = None
    for checkpoint in newest_first(record):
        reason = damage(checkpoint, record)
        if not reason:
            usable = checkpoint
            break
        damaged[checkpoint] = reason
    cut = _unreadable_tables(record, usable)
    if not damaged and not cut:
        return ""
    if usable is None:
        aside, then = record.set_aside(), "training starts again"
    else:
        for path, length in cut.items():
            os.truncate(path, length)  # the rows after it are written again
        aside, then = record.set_aside(list(damaged)) if damaged else None, f"training resumes from {usable.name}"
    damaged |= dict.fromkeys(cut, "it has damaged rows")
    words = ", ".join(f"{path.name} can't be used ({reason})" for path, reason in damaged.items())
    return f"{words}; {then}" + (f"; the old files are in {aside}" if aside else "")


def _weights_damage(record: Record, content: RecordContent, trained: Mapping[str, Mark]) -> str:
    try:
        read_weights(record.weights, content)
    except SkiplabError:
        return "they aren't what the trial wrote"
    return table_damage(record, trained)


def _marks(content: RecordContent | None) -> dict[str, Mark]:
    """The marks of the tables when the weights were written; someone else's record may name any file there."""
    trained = None if content is None else content["trained"]
    return {} if trained is None else {name: mark for name, mark in trained["tables"].items() if name in _TABLES}


def _cut_behind(record: Record, marks: Mapping[str, Mark]) -> str:
    """Cut tables off after their marks, where a trained trial writes nothing; returns a sentence if any was cut."""
    cut = []
    for name, (length, _) in marks.items():
        path = record.folder / _TABLES[name].file
        if path.is_file() and path.stat().st_size > length:
            os.truncate(path, length)
            cut.append(path.name)
    return f"rows after the trial's last were removed from {' and '.join(cut)}" if cut else ""


def _unreadable_tables(record: Record, checkpoint: Path | None) -> dict[Path, int]:
    """Tables with damaged rows after a checkpoint, and their lengths at the time of the checkpoint."""
    marks = {} if checkpoint is None else signature(checkpoint)["tables"]
    lengths = {record.folder / table.file: marks.get(name, (0, 0))[0] for name, table in _TABLES.items()}
    return {path: length for path, length in lengths.items() if path.is_file() and not _reads(path, length)}


def _reads(path: Path, start: int) -> bool:
    """Whether all complete lines from a byte on are rows whose first cell is a step and whose last is a value.

    Rows with control characters are damaged, too.
    """
    content = path.read_bytes()
    try:
        header = content.split(b"\n", 1)[0].decode().split(",")
        *lines, _ = content[start:].decode().split("\n")
        rows = list(csv.reader(lines))
        if start == 0 and rows and rows.pop(0)[0] != "step":
            return False
        for row in rows:
            _ = int(row[0]), float(row[-1])
    except (ValueError, IndexError, csv.Error):
        return False
    return all(map(str.isprintable, lines)) and all(len(row) == len(header) for row in rows)
