"""The checkpoints of a trial: signed when they are written, and checked before one is used."""

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

MAX_CHECKPOINTS = 2  # during training; if the newest is damaged, training resumes from the one before
_NAME = re.compile(r"step=(\d+)(-v\d+)?\.ckpt")
_SIGNATURE = "skiplab"  # its key in a checkpoint
_UNREADABLE = (  # errors of readers on a damaged file
    *(OSError, EOFError, LookupError, RuntimeError, TypeError, ValueError),
    *(pickle.UnpicklingError, struct.error, zipfile.BadZipFile, zlib.error),
)


class Signature(pl.Callback):
    """Writes into each checkpoint the key of its trial, and how much of the tables is older than it.

    Args:
        key: the trial's key.
        tables: the record's tables, by name.
    """

    def __init__(self, key: str, tables: Mapping[str, AppendedTable]) -> None:
        self.key, self.tables = key, tables

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[_SIGNATURE] = {"key": self.key, "tables": self.marks}

    @property
    def marks(self) -> dict[str, Mark]:
        return {name: table.mark for name, table in self.tables.items()}


def newest_first(record: Record) -> list[Path]:
    """The checkpoints, ordered by the steps in their names, such as step=40.ckpt; clocks may be set back."""
    named = {path: _NAME.fullmatch(path.name) for path in record.checkpoints.glob("*.ckpt")}
    steps = {path: (int(match[1]), path.name) for path, match in named.items() if match}
    return sorted(steps, key=steps.__getitem__, reverse=True)


def keep_newest(record: Record, count: int) -> Path | None:
    """The checkpoint of the latest step; all but the latest `count` are removed, since each signal adds one."""
    found = newest_first(record)
    for path in found[count:]:
        path.unlink()
    return found[0] if found else None


def signature(checkpoint: Path) -> dict[str, Any]:
    """The key and the marks of the tables that `Signature` wrote into a checkpoint."""
    return torch.load(checkpoint, map_location="cpu", mmap=True, weights_only=True)[_SIGNATURE]


def damage(checkpoint: Path, record: Record) -> str:
    """Why training can't resume from a checkpoint; empty if it can."""
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            if archive.testzip() is not None:  # torch checks no checksums
                return "its content was changed"
        signed = signature(checkpoint)
        if signed["key"] != record.key:
            return f"it belongs to trial {signed['key']}"
        return table_damage(record, signed["tables"])
    except _UNREADABLE as error:
        return f"it is no whole checkpoint: {error}"


def table_damage(record: Record, marks: Mapping[str, Mark]) -> str:
    """Which table has lost rows since its mark was made; empty if none has."""
    for name, mark in marks.items():
        path = record.folder / f"{name}.csv"
        content = path.read_bytes()[: mark[0]] if path.is_file() else b""  # opening a pipe would wait
        if mark_of(content) != tuple(mark):
            return f"{path.name} has lost rows"
    return ""
