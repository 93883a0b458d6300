"""Limits of the system that the workers of a sweep may hit, checked before they start."""

import errno
import multiprocessing
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from skiplab.errors import SkiplabError

_FILES, _FILES_A_WORKER = 64, 4  # open at once; two workers were measured to need 20
_MEMORY = 2 * 2**30  # bytes of address space that a trial's process may need: torch alone maps about half of it
_MEMORY_TO_READ = 2**30  # that a table may need; with less, SciPy's library asks for more without end
_USED_UP = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC}
_ADVICE = "raise the limit, or use fewer workers (hydra.launcher.workers=2) or none (hydra/launcher=basic)"


@contextmanager
def within_limits(num_workers: int) -> Iterator[None]:
    """Run the block, which starts workers, if the limits of the system allow that many.

    Raises:
        SkiplabError: names the limit, before the block or when it is hit.
    """
    _check_open_files(num_workers)
    check_temporary_folder()
    _check_memory(_MEMORY, "a trial")
    _check_semaphores()
    _check_joblib()
    try:
        yield
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) not in _USED_UP and "can't start new thread" not in str(error):
            raise
        raise SkiplabError(f"the system can't start {num_workers} workers ({error}); {_ADVICE}") from error


def check_temporary_folder() -> None:
    """Refuse to start if no temporary file can be written.

    Raises:
        SkiplabError: says what to set.
    """
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"written")
            file.flush()
    except OSError as error:
        raise SkiplabError(
            f"temporary files can't be written ({error.strerror or error}); set TMPDIR to a writable folder"
        ) from None


def _check_open_files(num_workers: int) -> None:
    """Raise the soft limit, as any process may, if the hard limit allows it."""
    needed = _FILES + _FILES_A_WORKER * num_workers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SkiplabError(
            f"ulimit -n is {soft}, and a sweep with {num_workers} workers needs {needed} open files; run "
            f"`ulimit -n {needed}`, or ask your administrator to raise it"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def check_memory_to_read() -> None:
    """Refuse to start if records can't be read in the address space that is allowed.

    Raises:
        SkiplabError: says what to set.
    """
    _check_memory(_MEMORY_TO_READ, "a command")


def _check_memory(needed: int, what: str) -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise SkiplabError(
            f"ulimit -v is {limit // 1024}, and {what} needs an address space of {needed // 1024} KiB; run "
            "`ulimit -v unlimited`"
        )


def _check_joblib() -> None:
    """Where joblib starts no workers, it would run the trials one by one in the process of the sweep."""
    if multiprocessing.current_process().daemon:
        raise SkiplabError(
            "workers can't be started in a daemon process, such as one of multiprocessing.Pool; use "
            "hydra/launcher=basic, or start the sweep in a process that is no daemon"
        )
    if os.environ.get("JOBLIB_MULTIPROCESSING") == "0":
        raise SkiplabError(
            "JOBLIB_MULTIPROCESSING=0 lets joblib start no workers; unset it, or use hydra/launcher=basic"
        )


def _check_semaphores() -> None:
    """Without semaphores, joblib would run the trials one by one in the process of the sweep."""
    try:
        multiprocessing.get_context("fork").Lock()
    except (OSError, ImportError) as error:
        raise SkiplabError(
            f"semaphores, which workers need, can't be created ({getattr(error, 'strerror', None) or error}); make "
            "/dev/shm writable, or use hydra/launcher=basic"
        ) from None
