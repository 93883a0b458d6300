"""What a trial leaves on disk: `runs/KEY/`, written atomically or appended to, and never overwritten."""

import csv
import fcntl
import io
import json
import math
import os
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from skiplab.atomic_file import UNWRITABLE, write_atomically
from skiplab.errors import SkiplabError

FINISHED = ("done", "diverged")


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
        self.weights = self.folder / "weights.safetensors"

    def read(self) -> dict[str, Any]:
        """The content of record.json, {} where there is none.

        Raises:
            SkiplabError: where the file can't be read as a record.
        """
        path = self.folder / "record.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
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
        """Replace fields of record.json in one atomic step."""
        write_atomically(self.folder / "record.json", _to_json({"key": self.key, **self.read(), **fields}).encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the trial; the system releases it when its owner dies.

        Raises:
            HeldError: where another process holds it.
            SkiplabError: where the folder can't be written.
        """
        with explain_unwritable(self.runs_dir):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = (self.folder / "lock").open("a+", encoding="utf-8")
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                owner = handle.read().strip() or "another process"
                raise HeldError(
                    f"trial {self.key} is being trained by {owner}; wait for it, then run the same command again"
                ) from None
            with explain_unwritable(self.runs_dir):
                handle.truncate(0)
                handle.write(f"process {os.getpid()} on {socket.gethostname()}")
                handle.flush()
                for unfinished in self.folder.rglob(".*.[0-9]*"):  # what a killed process had begun to write
                    unfinished.unlink()
            yield

    @property
    def held(self) -> bool:
        """Whether a living process is at work on the trial; the system lets go of a dead one's lock."""
        try:
            with (self.folder / "lock").open("rb") as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def set_aside(self) -> None:
        """Move what an earlier training left out of the way, so that it isn't lost."""
        target = self.runs_dir / "replaced" / f"{self.key}-{time.time_ns()}"
        target.mkdir(parents=True)
        for path in self.folder.iterdir():
            if path.name != "lock":
                path.rename(target / path.name)

    def table(self, name: str, columns: Sequence[str]) -> "AppendedTable":
        return AppendedTable(self.folder / f"{name}.csv", columns)


class AppendedTable:
    """A CSV file that only grows; a line that a killed process tore is cut off when it is opened again."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._header = ",".join(columns) + "\n"
        self._file = path.open("a+b")
        if _cut_torn_line(self._file) == 0:
            self._file.write(self._header.encode())
            self._file.flush()

    def append(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows and hand them to the system at once."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue().encode())
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _cut_torn_line(file: BinaryIO) -> int:
    """Cut off what follows the last complete line; returns the bytes that are left."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    complete = file.read().rfind(b"\n") + 1
    if complete < end:
        file.truncate(complete)
    return complete


@contextmanager
def explain_unwritable(folder: Path) -> Iterator[None]:
    """Turn the system's refusal to write into one message that names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise SkiplabError(
            f"can't write to run.runs_dir={folder}: {error.strerror or error}; free space or permissions, "
            "or give another folder by run.runs_dir=..."
        ) from error


def study_folder(runs_dir: Path, study: str) -> Path:
    """Where a study's list and its tables lie.

    Raises:
        SkiplabError: where the study's name isn't a plain folder name.
    """
    if not isinstance(study, str) or not study or study != Path(study).name or study.startswith("."):
        raise SkiplabError(
            f"run.study={study!r} is no valid name; valid: one folder name that reads as text, such as my_study"
        )
    return runs_dir / "studies" / study


def join_study(runs_dir: Path, study: str, keys: Iterable[str]) -> None:
    """Add trials to a study's list, keys that stand there already left out.

    Raises:
        SkiplabError: where the study's name is invalid, or the folder can't be written.
    """
    path = study_folder(runs_dir, study) / "keys.txt"
    with explain_unwritable(runs_dir):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            _cut_torn_line(file)
            file.seek(0)
            present = set(file.read().decode().split())
            file.write("".join(f"{key}\n" for key in dict.fromkeys(keys) if key not in present).encode())


def _to_json(content: dict[str, Any]) -> str:
    def finite(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: finite(child) for name, child in node.items()}
        if isinstance(node, list | tuple):
            return [finite(child) for child in node]
        return None if isinstance(node, float) and not math.isfinite(node) else node

    return json.dumps(finite(content), indent=1) + "\n"
