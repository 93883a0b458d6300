"""A table on disk that is appended to, and can be read meanwhile."""

import csv
import errno
import io
import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from skiplab.records.record_schema import Mark


class AppendedTable:
    """A CSV file that rows are appended to; opening it removes an incomplete last line of a killed process.

    `mark` is its length and checksum, by which a later process can tell whether its rows are still there.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path, self._file = path, path.open("a+b")
        cut_torn_line(self._file)
        self._file.seek(0)
        self.mark = mark_of(self._file.read())
        if self.mark == mark_of(b""):
            self._write((",".join(columns) + "\n").encode())

    def append(self, rows: Iterable[Sequence[Any]]) -> None:
        """Append rows and flush them.

        Raises:
            FileNotFoundError: if the file was deleted meanwhile.
        """
        if not os.fstat(self._file.fileno()).st_nlink:
            raise FileNotFoundError(errno.ENOENT, "deleted while it was written", str(self._path))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._write(text.getvalue().encode())

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self._file.flush()
        self.mark = mark_of(content, self.mark)

    def close(self) -> None:
        self._file.close()


def mark_of(content: bytes, before: Mark = (0, 0)) -> Mark:
    """The mark of a content, appended to one with the mark `before`."""
    length, checksum = before
    return length + len(content), zlib.crc32(content, checksum)


def cut_torn_line(file: BinaryIO) -> None:
    """Remove an incomplete last line."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    complete = file.read().rfind(b"\n") + 1
    if complete < end:
        file.truncate(complete)
