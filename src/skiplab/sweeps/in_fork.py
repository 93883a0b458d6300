"""A call in a forked process: what it starts and leaves behind, such as threads, ends with that process."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

_POLL_SECONDS = 0.2


class DiedError(Exception):
    """A forked process has ended without a result."""


class Ended(NamedTuple):
    """How a forked process ended.

    value: what its function returned.
    error: what it raised; None if it raised nothing, or died.
    exitcode: of the process, below 0 for a signal.
    """

    value: Any
    error: Exception | None
    exitcode: int


def in_fork(function: Callable[[], Any], meanwhile: Callable[[BaseProcess], None] | None = None) -> Ended:
    """Call a function in a forked process, which has all modules imported already.

    Args:
        function: what to call; what it returns or raises is pickled.
        meanwhile: called with the process every now and then, while it runs.
    """
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=_run, args=(function, sender))
    process.start()
    sender.close()
    while not receiver.poll(_POLL_SECONDS):
        if meanwhile is not None:
            meanwhile(process)
    try:
        value, error = receiver.recv()
    except EOFError:
        value, error = None, None
    process.join()
    assert process.exitcode is not None, "it was joined"
    return Ended(value, error, process.exitcode)


def _run(function: Callable[[], Any], sender: Connection) -> None:
    try:
        sender.send((function(), None))
    except Exception as error:
        sender.send((None, error))
