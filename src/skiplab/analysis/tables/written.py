"""Files that the analysis leaves, in UTF-8, each whole or as it was before; where it can't write, it says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from skiplab.analysis.tables import terminal
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.atomic_file import write_atomically
from skiplab.records.writable import UNWRITABLE


def write(path: Path, content: str | bytes) -> Path:
    """Write a file, in a folder that is made where there is none; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
    return path


@contextmanager
def writing(folder: Path, console: Console, *, answered: bool = True) -> Iterator[None]:
    """Say in a line that files can't be written, and go on.

    Args:
        folder: where they should go.
        console: where it is said.
        answered: whether the command has printed what it was asked for, so that the files are copies of it.

    Raises:
        SkiplabError: where they can't be written and nothing was printed that says the same.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        reason = f"can't write to {printable(folder)}: {error.strerror}; free space or permissions"
        if not answered:
            raise SkiplabError(f"{reason}, or copy the records to another folder and name it by --runs-dir") from error
        terminal.say(console, f"not written: {reason}")
