"""What of a trial that was broken off can still be used: disks tear files, and people mix them up."""

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
    """Set aside what can't be used of a trial, so that it goes on from the checkpoint before it, or from its start.

    Returns:
        A sentence on what was found and what is done; empty where nothing is wrong.

    Raises:
        SkiplabError: where a finished trial's weights can't be used; its numbers stand, so it isn't trained again.
    """
    content = record.read_if_any()
    trained = _marks(content)
    if content is not None and content["status"] in FINISHED:
        if content["status"] == "done":
            read_weights(record.weights, content)
        return "" if table_damage(record, trained) else _cut_behind(record, trained)
    spoilt: dict[Path, str] = {}
    if content is not None and record.weights.exists():
        reason = _weights_damage(record, content, trained)
        if not reason:
            return _cut_behind(record, trained)
        spoilt[record.weights] = reason
    usable = None
    for checkpoint in newest_first(record):
        reason = damage(checkpoint, record)
        if not reason:
            usable = checkpoint
            break
        spoilt[checkpoint] = reason
    cut = _unreadable_tables(record, usable)
    if not spoilt and not cut:
        return ""
    if usable is None:
        aside, then = record.set_aside(), "training begins again from its start"
    else:
        for path, length in cut.items():
            os.truncate(path, length)  # what follows is written again
        aside, then = record.set_aside(list(spoilt)) if spoilt else None, f"training goes on from {usable.name}"
    spoilt |= dict.fromkeys(cut, "it holds what is no row")
    words = ", ".join(f"{path.name} can't be used ({reason})" for path, reason in spoilt.items())
    return f"{words}; {then}" + (f"; the old files are in {aside}" if aside else "")


def _weights_damage(record: Record, content: RecordContent, trained: Mapping[str, Mark]) -> str:
    try:
        read_weights(record.weights, content)
    except SkiplabError:
        return "they aren't what the trial wrote"
    return table_damage(record, trained)


def _marks(content: RecordContent | None) -> dict[str, Mark]:
    """The marks of the tables when the weights were written; a record of others may name any file there."""
    trained = None if content is None else content["trained"]
    return {} if trained is None else {name: mark for name, mark in trained["tables"].items() if name in _TABLES}


def _cut_behind(record: Record, marks: Mapping[str, Mark]) -> str:
    """Cut off what tables hold behind their marks, where a trained trial writes nothing; says so."""
    cut = []
    for name, (length, _) in marks.items():
        path = record.folder / _TABLES[name].file
        if path.is_file() and path.stat().st_size > length:
            os.truncate(path, length)
            cut.append(path.name)
    return f"what stood in {' and '.join(cut)} behind the trial's own rows is cut off" if cut else ""


def _unreadable_tables(record: Record, checkpoint: Path | None) -> dict[Path, int]:
    """Tables that can't be read behind what stood in them at a checkpoint, and their lengths at that time."""
    marks = {} if checkpoint is None else signature(checkpoint)["tables"]
    lengths = {record.folder / table.file: marks.get(name, (0, 0))[0] for name, table in _TABLES.items()}
    return {path: length for path, length in lengths.items() if path.is_file() and not _reads(path, length)}


def _reads(path: Path, start: int) -> bool:
    """Whether all complete lines from a byte on are rows of a table whose first cell is a step and last a value.

    No row holds a control sign, which a path would take along.
    """
    content = path.read_bytes()
    try:
        header = content.split(b"\n", 1)[0].decode().split(",")
        *lines, _ = content[start:].decode().split("\n")
        rows = list(csv.reader(lines))
        if start == 0 and rows and rows.pop(0)[0] != "step":
            return False
        for row in rows:
            int(row[0]), float(row[-1])
    except (ValueError, IndexError, csv.Error):
        return False
    return all(map(str.isprintable, lines)) and all(len(row) == len(header) for row in rows)
