"""Folders that can't or must not be written to, in one clear sentence each."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skiplab.errors import SkiplabError
from skiplab.records.foreign_files import links_out

UNWRITABLE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EIO}
)


@contextmanager
def explain_unwritable(folder: Path) -> Iterator[None]:
    """Turn the system's refusal to write into a message that names the folder.

    Raises:
        SkiplabError: if the system refused to write.
    """
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


def refuse_links(folder: Path) -> None:
    """Refuse to write to a folder with links that lead out of it, which someone else may have made.

    Raises:
        SkiplabError: if there is such a link.
    """
    if found := links_out(folder):
        raise SkiplabError(
            f"{found[0]} is a link to {os.readlink(found[0])}, out of its folder, and nothing is written there; "
            "remove it, or put a copy of the file in its place"
        )
