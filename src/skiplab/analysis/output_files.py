"""Writes the files of the analysis in UTF-8; each is replaced as a whole or stays as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from skiplab.analysis import terminal
from skiplab.errors import SkiplabError
from skiplab.printable import printable
from skiplab.records.atomic_file import write_atomically
from skiplab.records.writable import UNWRITABLE


def write(path: Path, content: str | bytes) -> Path:
    """Write a file, and the folder if it doesn't exist; returns the file's path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
    return path


@contextmanager
def writing(folder: Path, console: Console, *, answered: bool = True) -> Iterator[None]:
    """Go on where files can't be written, after a line that says so.

    Args:
        folder: where the files go.
        console: where the line is printed.
        answered: whether the command has printed its result, so that the files are only copies of it.

    Raises:
        SkiplabError: where they can't be written and the result was not printed.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        reason = f"can't write to {printable(folder)}: {error.strerror}; free space there or change its permissions"
        if not answered:
            raise SkiplabError(f"{reason}, or copy the records to another folder and give it as --runs-dir") from error
        terminal.say(console, f"not written: {reason}")
