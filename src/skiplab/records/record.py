"""The folder that a trial leaves, `runs/KEY/`: its files are replaced whole or appended to."""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from typing_extensions import Unpack

from skiplab.errors import SkiplabError
from skiplab.records.appended_table import AppendedTable
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import CHECKPOINTS, LOCK, RECORD, REPLACED, WEIGHTS, Table
from skiplab.records.foreign_files import read_own
from skiplab.records.locks import acquire, release
from skiplab.records.record_json import parse_record, to_json
from skiplab.records.record_schema import RecordChanges, RecordContent
from skiplab.records.statuses import Status
from skiplab.records.timestamps import in_utc
from skiplab.records.writable import explain_unwritable, refuse_links


class HeldError(SkiplabError):
    """Another process is working on the trial."""


class Record:
    """The folder of one trial.

    record.json has status, summary and provenance and is replaced atomically. The tables history.csv and layers.csv
    have a row a value; they are appended to, and can be read while the trial runs.
    """

    def __init__(self, runs_dir: Path, key: str) -> None:
        self.runs_dir, self.key = runs_dir, key
        self.folder = runs_dir / key
        self.path = self.folder / RECORD
        self.checkpoints = self.folder / CHECKPOINTS
        self.weights = self.folder / WEIGHTS
        self._lock: IO[str] | None = None  # while this process holds the trial

    def read(self) -> RecordContent:
        """The content of record.json.

        Raises:
            SkiplabError: if there is none, or it can't be read.
        """
        content = self.read_if_any()
        if content is None:
            raise self._gone if self._lock else SkiplabError(f"{self.folder} has no {RECORD}; train the trial first")
        return content

    def read_if_any(self) -> RecordContent | None:
        """The content of record.json; None if the trial hasn't started.

        Raises:
            SkiplabError: if the file can't be read.
        """
        try:
            return read_record(self.folder, self.key)
        except (FileNotFoundError, NotADirectoryError):
            return None

    @property
    def status(self) -> Status | None:
        """None if the trial hasn't started.

        Raises:
            SkiplabError: if the record can't be read.
        """
        content = self.read_if_any()
        return None if content is None else content["status"]

    def write(self, content: RecordContent) -> None:
        """Replace record.json.

        Raises:
            SkiplabError: if the folder was deleted or moved while this process held it.
        """
        self.check_in_place()
        write_atomically(self.path, to_json(content))

    def update(self, **changes: Unpack[RecordChanges]) -> None:
        """Replace parts of record.json.

        Raises:
            SkiplabError: if there is none, it can't be read, or it was deleted while this process held it.
        """
        self.check_in_place()
        self.write({**self.read(), **changes})

    def check_in_place(self) -> None:
        """Check that the folder is still the one that this process holds.

        Raises:
            SkiplabError: if it was deleted or moved.
        """
        if self._lock is not None and not _is_open_at(self._lock, self.folder / LOCK):
            raise self._gone

    @property
    def _gone(self) -> SkiplabError:
        return SkiplabError(
            f"{self.folder} was deleted or moved while its trial was running, so nothing more can be recorded there; "
            "the same command trains the trial anew"
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the trial; the system releases it if this process dies.

        Raises:
            HeldError: if another process holds it.
            SkiplabError: if the folder can't be written.
        """
        with explain_unwritable(self.runs_dir):
            self.folder.mkdir(parents=True, exist_ok=True)
            refuse_links(self.folder)
            handle = (self.folder / LOCK).open("a+", encoding="utf-8")
        with handle:
            if not acquire(handle, "run.runs_dir"):
                handle.seek(0)
                owner = handle.read().strip() or "another process"
                raise HeldError(
                    f"trial {self.key} is being trained by {owner}; wait for it, then run the same command again"
                )
            with explain_unwritable(self.runs_dir):
                handle.truncate(0)
                handle.write(f"process {os.getpid()} on {socket.gethostname()}")
                handle.flush()
                for unfinished in self.folder.rglob(".*.[0-9]*"):  # by a writer that was killed
                    unfinished.unlink()
            self._lock = handle
            try:
                yield
            finally:
                self._lock = None
                release(handle)  # a process that the trial has left may have the file, too

    @property
    def held(self) -> bool:
        """Whether a living process is working on the trial."""
        if not (self.folder / LOCK).is_file():  # opening a pipe would wait
            return False
        try:
            with (self.folder / LOCK).open("rb") as handle:
                return not acquire(handle, "run.runs_dir", shared=True)
        except (OSError, SkiplabError):  # without locks, nobody can be working there
            return False

    def set_aside(self, paths: Sequence[Path] | None = None) -> Path:
        """Move files of an earlier training out of the way, all of them unless some are given.

        Returns:
            Their new folder.
        """
        target = self.runs_dir / REPLACED / f"{self.key}-{time.time_ns()}"
        target.mkdir(parents=True)
        for path in [path for path in self.folder.iterdir() if path.name != LOCK] if paths is None else paths:
            path.rename(target / path.name)
        return target

    @property
    def replaced_start(self) -> datetime | None:
        """When the first of the records that were set aside was started; None if there is none."""
        replaced = self.runs_dir.glob(f"{REPLACED}/{self.key}-*/{RECORD}")
        return min(filter(None, map(_first_start, replaced)), default=None)

    def append_to(self, table: Table) -> AppendedTable:
        """Open one of the trial's tables for appending."""
        return AppendedTable(self.folder / table.file, table.columns)


def read_record(folder: Path, key: str | None = None) -> RecordContent:
    """Read the record in a folder, that of a certain trial if a key is given.

    Raises:
        FileNotFoundError, NotADirectoryError: if there is none.
        SkiplabError: if it can't be read.
    """
    path = folder / RECORD
    try:
        return parse_record(read_own(path), key)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (ValueError, OSError) as error:
        raise SkiplabError(
            f"{path} can't be read ({error}); nothing was changed. Repair it, or move the folder {folder} away to "
            "train the trial anew"
        ) from None


def _first_start(path: Path) -> datetime | None:
    try:
        return in_utc(parse_record(read_own(path))["provenance"]["first_started"])
    except (ValueError, OSError):  # a damaged record may be the reason why it was set aside
        return None


def _is_open_at(file: IO[Any], path: Path) -> bool:
    """Whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
