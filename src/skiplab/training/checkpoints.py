"""The checkpoints of a trial: signed when they are written, and looked through before one is used."""

import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from skiplab.records.appended_table import AppendedTable, mark_of
from skiplab.records.record import Record
from skiplab.records.record_schema import Mark

KEPT = 2  # while a trial runs; where a disk tears the newest, the one before serves
_NAME = re.compile(r"step=(\d+)(-v\d+)?\.ckpt")
_SIGNATURE = "skiplab"  # its place in a checkpoint
_UNREADABLE = (  # what readers raise on a damaged file
    *(OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError),
    *(pickle.UnpicklingError, struct.error, zipfile.BadZipFile, zlib.error),
)


class Signature(pl.Callback):
    """Writes into each checkpoint whose it is, and the marks of the tables up to there.

    Args:
        key: the trial's.
        tables: the record's, by name.
    """

    def __init__(self, key: str, tables: Mapping[str, AppendedTable]) -> None:
        self.key, self.tables = key, tables

    def on_save_checkpoint(self, trainer, module, checkpoint) -> None:
        checkpoint[_SIGNATURE] = {"key": self.key, "tables": self.marks}

    @property
    def marks(self) -> dict[str, Mark]:
        return {name: table.mark for name, table in self.tables.items()}


def newest_first(record: Record) -> list[Path]:
    """The checkpoints by the steps in their names, such as step=40.ckpt: a clock may have been set back."""
    named = {path: _NAME.fullmatch(path.name) for path in record.checkpoints.glob("*.ckpt")}
    steps = {path: (int(match[1]), path.name) for path, match in named.items() if match}
    return sorted(steps, key=steps.__getitem__, reverse=True)


def keep_newest(record: Record, count: int) -> Path | None:
    """The checkpoint of the latest step; all but `count` are removed, since one is left behind by each signal."""
    found = newest_first(record)
    for path in found[count:]:
        path.unlink()
    return found[0] if found else None


def signature(checkpoint: Path) -> dict[str, Any]:
    """What `Signature` wrote into a checkpoint: key, tables."""
    return torch.load(checkpoint, map_location="cpu", mmap=True, weights_only=True)[_SIGNATURE]


def damage(checkpoint: Path, record: Record) -> str:
    """Why a trial can't go on from a checkpoint; empty where it can."""
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            if archive.testzip() is not None:  # torch looks at no checksum
                return "its content was changed"
        signed = signature(checkpoint)
        if signed["key"] != record.key:
            return f"it belongs to trial {signed['key']}"
        return table_damage(record, signed["tables"])
    except _UNREADABLE as error:
        return f"it is no whole checkpoint: {error}"


def table_damage(record: Record, marks: Mapping[str, Mark]) -> str:
    """Which table no longer holds what it held when it had its mark; empty where all do."""
    for name, mark in marks.items():
        path = record.folder / f"{name}.csv"
        content = path.read_bytes()[: mark[0]] if path.is_file() else b""  # a pipe would be waited for
        if mark_of(content) != tuple(mark):
            return f"{path.name} has lost what stood in it"
    return ""
