"""What a sweep's workers need of the system: looked at before they start, so that a lack is told at once."""

import errno
import multiprocessing
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from skiplab.errors import SkiplabError

_FILES, _FILES_A_WORKER = 64, 4  # open at once; a sweep of two workers was seen to need 20
_MEMORY = 2 * 2**30  # bytes of address space that a trial's process may need: torch alone maps about half of it
_USED_UP = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC}
_ADVICE = "give the sweep more, or take fewer workers (hydra.launcher.workers=2) or none (hydra/launcher=basic)"


@contextmanager
def room_for(num_workers: int) -> Iterator[None]:
    """Run the block, which starts workers, where there is room for them.

    Raises:
        SkiplabError: names what is missing, before the block or when it runs out.
    """
    _check_open_files(num_workers)
    check_temporary_folder()
    _check_memory()
    _check_semaphores()
    try:
        yield
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) not in _USED_UP and "can't start new thread" not in str(error):
            raise
        raise SkiplabError(f"{num_workers} workers are more than the system lets start ({error}); {_ADVICE}") from error


def check_temporary_folder() -> None:
    """Refuse to start where no temporary file can be written.

    Raises:
        SkiplabError: says what to set.
    """
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"written")
            file.flush()
    except OSError as error:
        raise SkiplabError(
            f"no temporary file can be written ({error.strerror or error}); set TMPDIR to a folder that can be written"
        ) from None


def _check_open_files(num_workers: int) -> None:
    """Raise the soft limit, as any process may, where the hard one allows it."""
    needed = _FILES + _FILES_A_WORKER * num_workers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SkiplabError(
            f"ulimit -n is {soft}: a sweep of {num_workers} workers needs {needed} open files; say `ulimit -n {needed}`"
            ", or ask your administrator for it"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _check_memory() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _MEMORY:
        raise SkiplabError(
            f"ulimit -v is {limit // 1024}: a trial needs an address space of {_MEMORY // 1024} KiB; say "
            "`ulimit -v unlimited`"
        )


def _check_semaphores() -> None:
    """Without them joblib would run trials one by one in the sweep's own process."""
    try:
        multiprocessing.get_context("fork").Lock()
    except (OSError, ImportError) as error:
        raise SkiplabError(
            f"no semaphore can be made ({getattr(error, 'strerror', None) or error}), which workers need: make "
            "/dev/shm writable, or take hydra/launcher=basic"
        ) from None
