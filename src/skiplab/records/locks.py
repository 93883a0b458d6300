"""The system's locks on open files, by which processes keep out of each other's way; it frees a dead owner's."""

import errno
import fcntl
import os
from typing import IO, Any

from skiplab.errors import SkiplabError

# What flock says where a file system has no locks: Lustre without -o flock, NFS without its lock service, some others.
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP})


def take(file: IO[Any], setting: str, *, shared: bool = False, wait: bool = False) -> bool:
    """Lock an open file until it is closed; False where another process holds it.

    No other kind of lock stands in where there is none: a file that says who holds it outlives a killed owner, and
    whoever clears it away can't know whether an owner on another machine is dead or slow.

    Args:
        file: what is locked.
        setting: what decides where the file lies, such as run.runs_dir.
        shared: whether others may share it.
        wait: whether to wait for another process that holds it.

    Raises:
        SkiplabError: where the file system has no locks.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise SkiplabError(
            f"the file system of {os.path.dirname(file.name)} has no locks ({error.strerror or error}), and without "
            f"them two processes could work on one thing at once; set {setting} to a folder on another file system, "
            "or mount this one with locks (Lustre: -o flock)"
        ) from None
    return True
