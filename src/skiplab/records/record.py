"""What a trial leaves on disk: `runs/KEY/`, written atomically or appended to, and never overwritten."""

import errno
import json
import math
import os
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from skiplab.errors import SkiplabError
from skiplab.records.appended_table import AppendedTable, cut_torn_line
from skiplab.records.atomic_file import UNWRITABLE, write_atomically
from skiplab.records.first_start import first_start
from skiplab.records.foreign_files import links_out, parse_json, read_own
from skiplab.records.locks import take
from skiplab.records.record_files import WEIGHTS
from skiplab.records.registrations import register, registrations

FINISHED = ("done", "diverged")
_LONGEST, _LONGEST_PATH = 255, 3000  # bytes that a folder's name may have, and that leave room below it


class HeldError(SkiplabError):
    """Another process is at work on the trial."""


class Record:
    """The folder of one trial.

    record.json: status, summary, provenance; replaced atomically.
    history.csv, layers.csv: append-only, a row a value, readable while the trial runs.
    """

    def __init__(self, runs_dir: Path, key: str) -> None:
        self.runs_dir, self.key = runs_dir, key
        self.folder = runs_dir / key
        self.checkpoints = self.folder / "checkpoints"
        self.weights = self.folder / WEIGHTS
        self._lock: IO[str] | None = None  # while this process holds the trial

    def read(self) -> dict[str, Any]:
        """The content of record.json, {} where there is none.

        Raises:
            SkiplabError: where the file can't be read as a record.
        """
        path = self.folder / "record.json"
        try:
            content = parse_json(read_own(path))
            if not isinstance(content, dict) or content.get("key") != self.key or "status" not in content:
                raise ValueError("it is no record of this trial")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (ValueError, OSError) as error:
            raise SkiplabError(
                f"{path} is corrupt ({error}); nothing was changed. Repair it, or move the folder "
                f"{self.folder} away to train the trial anew"
            ) from None
        return content

    def update(self, **fields: Any) -> None:
        """Replace fields of record.json in one atomic step.

        Raises:
            SkiplabError: where the record is corrupt, or gone.
        """
        self.check_kept()
        content = {"key": self.key, **self.read(), **fields}
        if "status" not in content:
            raise self._gone
        write_atomically(self.folder / "record.json", _to_json(content).encode())

    def check_kept(self) -> None:
        """Raise where the folder is no longer the one that this process holds.

        Raises:
            SkiplabError: where it was deleted, or moved away.
        """
        if self._lock is not None and not _is_open_at(self._lock, self.folder / "lock"):
            raise self._gone

    @property
    def _gone(self) -> SkiplabError:
        return SkiplabError(
            f"{self.folder} was deleted or moved while its trial was at work, so nothing more can be recorded there; "
            "the same command trains the trial anew"
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the trial; the system releases it when its owner dies.

        Raises:
            HeldError: where another process holds it.
            SkiplabError: where the folder can't be written.
        """
        with explain_unwritable(self.runs_dir):
            self.folder.mkdir(parents=True, exist_ok=True)
            refuse_links(self.folder)
            handle = (self.folder / "lock").open("a+", encoding="utf-8")
        with handle:
            if not take(handle, "run.runs_dir"):
                handle.seek(0)
                owner = handle.read().strip() or "another process"
                raise HeldError(
                    f"trial {self.key} is being trained by {owner}; wait for it, then run the same command again"
                )
            with explain_unwritable(self.runs_dir):
                handle.truncate(0)
                handle.write(f"process {os.getpid()} on {socket.gethostname()}")
                handle.flush()
                for unfinished in self.folder.rglob(".*.[0-9]*"):  # what a killed process had begun to write
                    unfinished.unlink()
            self._lock = handle
            try:
                yield
            finally:
                self._lock = None

    @property
    def held(self) -> bool:
        """Whether a living process is at work on the trial; the system lets go of a dead one's lock."""
        if not (self.folder / "lock").is_file():  # a pipe would be waited for
            return False
        try:
            with (self.folder / "lock").open("rb") as handle:
                return not take(handle, "run.runs_dir", shared=True)
        except (OSError, SkiplabError):  # without locks, nothing can be at work there
            return False

    def set_aside(self, paths: Sequence[Path] | None = None) -> Path:
        """Move what an earlier training left, or some of its files, out of the way, so that it isn't lost.

        Returns:
            Where it is now.
        """
        target = self.runs_dir / "replaced" / f"{self.key}-{time.time_ns()}"
        target.mkdir(parents=True)
        for path in [path for path in self.folder.iterdir() if path.name != "lock"] if paths is None else paths:
            path.rename(target / path.name)
        return target

    @property
    def replaced_start(self) -> datetime | None:
        """When the first of the records that were set aside was begun; None where there is none."""
        kept = self.runs_dir.glob(f"replaced/{self.key}-*/record.json")
        return min(filter(None, map(_start, kept)), default=None)

    def table(self, name: str, columns: Sequence[str]) -> AppendedTable:
        return AppendedTable(self.folder / f"{name}.csv", columns)


def _start(path: Path) -> datetime | None:
    try:
        return first_start(parse_json(read_own(path)))
    except (ValueError, AttributeError, OSError):  # a record that is spoilt was set aside for it
        return None


def _is_open_at(file: IO[Any], path: Path) -> bool:
    """Whether an open file is the one that a path names."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def refuse_links(folder: Path) -> None:
    """Refuse to write in a folder of someone else's making that would lead the writing elsewhere.

    Raises:
        SkiplabError: names a link in it that leads out of it.
    """
    if found := links_out(folder):
        raise SkiplabError(
            f"{found[0]} is a link to {os.readlink(found[0])}, out of its folder, where nothing is written; "
            "remove it, or put a copy of the file in its place"
        )


@contextmanager
def explain_unwritable(folder: Path) -> Iterator[None]:
    """Turn the system's refusal to write into one message that names the folder."""
    try:
        yield
    except OSError as error:
        refused = error.errno == errno.ENOENT and not folder.exists()  # as /proc refuses a new folder
        if error.errno not in UNWRITABLE and not refused:
            raise
        raise SkiplabError(
            f"can't write to run.runs_dir={folder}: {error.strerror or error}; free space or permissions, "
            "or give another folder by run.runs_dir=..."
        ) from error


def study_folder(runs_dir: Path, study: str) -> Path:
    """Where a study's list and its tables lie.

    Raises:
        SkiplabError: where the study's name isn't a plain folder name, or one of both is too long for a file system.
    """
    if not isinstance(study, str) or not study or study != Path(study).name or study.startswith("."):
        raise SkiplabError(
            f"run.study={study!r} is no valid name; valid: one folder name that reads as text, such as my_study"
        )
    for name, path in (("run.study", Path(study)), ("run.runs_dir", runs_dir)):
        if any(len(os.fsencode(part)) > _LONGEST for part in path.parts) or len(os.fsencode(path)) > _LONGEST_PATH:
            raise SkiplabError(
                f"{name} is too long with {len(str(path))} signs; valid: up to {_LONGEST} bytes a folder name, "
                f"{_LONGEST_PATH} in all"
            )
    return runs_dir / "studies" / study


def join_study(runs_dir: Path, study: str, keys: Iterable[str], claims: Path | None = None) -> None:
    """Add trials to a study's list, keys that stand there already left out, and register its claims if they are new.

    Raises:
        SkiplabError: where the study's name is invalid, or the folder can't be written.
    """
    path = study_folder(runs_dir, study) / "keys.txt"
    with explain_unwritable(runs_dir):
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_links(path.parent)
        with path.open("a+b") as file:
            take(file, "run.runs_dir", wait=True)
            cut_torn_line(file)
            file.seek(0)
            present = dict.fromkeys(file.read().decode().split())
            new = [key for key in dict.fromkeys(keys) if key not in present]
            file.write("".join(f"{key}\n" for key in new).encode())
            if claims is not None:
                _register(claims, path.parent)


def _register(claims: Path, folder: Path) -> None:
    """Register the claims of trials that join, unless the study has had them before."""
    content = claims.read_bytes()
    if sha256(content).hexdigest() not in [each.sha256 for each in registrations(folder)]:
        register(folder, claims, content)


def _to_json(content: dict[str, Any]) -> str:
    def finite(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: finite(child) for name, child in node.items()}
        if isinstance(node, list | tuple):
            return [finite(child) for child in node]
        return None if isinstance(node, float) and not math.isfinite(node) else node

    return json.dumps(finite(content), indent=1) + "\n"
