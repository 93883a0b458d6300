"""Locks on open files, by which processes keep out of each other's way; the system frees those of a dead process."""

import errno
import fcntl
import os
from typing import IO, Any

from skiplab.errors import SkiplabError

# The errors of flock on file systems without locks: Lustre without -o flock, NFS without its lock service, some others.
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP})


def acquire(file: IO[Any], setting: str, *, shared: bool = False, wait: bool = False) -> bool:
    """Lock an open file until it is released or closed; False if another process holds it.

    There is no fallback for file systems without locks: a file that names its owner outlives a killed one, and
    nobody can know whether an owner on another machine is dead or slow.

    Args:
        file: the file.
        setting: what decides where the file lies, such as run.runs_dir.
        shared: whether other processes may share the lock.
        wait: whether to wait for a process that holds it.

    Raises:
        SkiplabError: if the file system has no locks.
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
            f"them two processes could work on the same trial; set {setting} to a folder on another file system, "
            "or mount this one with locks (Lustre: -o flock)"
        ) from None
    return True


def release(file: IO[Any]) -> None:
    """Free the lock on an open file, also for processes that were forked meanwhile, which share it."""
    fcntl.flock(file, fcntl.LOCK_UN)
