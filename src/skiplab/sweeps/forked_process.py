"""A process that is forked from this one: what its calls leave behind, such as threads, doesn't outlive it."""

import multiprocessing
import pickle
import sys
import time
from collections.abc import Callable
from contextlib import closing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.2
_LOOK_SECONDS = 0.005
_END_SECONDS = 10.0  # a process that was told to end and runs on is killed


class DiedError(Exception):
    """A forked process has ended without a result.

    Args:
        exitcode: of the process, below 0 for a signal.
    """

    def __init__(self, exitcode: int) -> None:
        super().__init__(exitcode)
        self.exitcode = exitcode


class ForkedProcess:
    """Has all modules imported already, and runs calls one after the other until it is closed.

    It ends, too, when this process ends.
    """

    def __init__(self) -> None:
        fork = multiprocessing.get_context("fork")
        self._ours, theirs = fork.Pipe()
        self._process = fork.Process(target=_serve, args=(theirs, self._ours))
        self._process.start()
        theirs.close()
        self._started = time.monotonic()
        self._hang_up = Finalize(self, self._ours.close, exitpriority=0)  # before this process waits for that one

    @property
    def age(self) -> float:
        """Seconds since it was forked."""
        return time.monotonic() - self._started

    @property
    def alive(self) -> bool:
        """Whether it takes a call."""
        return self._process.is_alive()

    def call(self, function: Callable[[], T], meanwhile: Callable[[BaseProcess], None] | None = None) -> T:
        """Call a function there.

        Args:
            function: what to call; it is pickled, and so is what it returns or raises.
            meanwhile: called with the process every now and then, while it runs.

        Returns:
            What the function returns.

        Raises:
            Exception: what the function raises.
            DiedError: the process ended instead.
        """
        try:
            self._ours.send(function)
            while not self._ours.poll(_POLL_SECONDS):
                # a child that outlives it keeps the other end open, so that no end is seen there
                if not self._process.is_alive() and not self._ours.poll():
                    raise EOFError
                if meanwhile is not None:
                    meanwhile(self._process)
            value, error = self._ours.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            assert self._process.exitcode is not None, "it was joined"
            raise DiedError(self._process.exitcode) from None
        if error is not None:
            raise error
        return value

    def close(self) -> None:
        """End it, and wait until it has ended; one that waits for a thread that a call has left is killed."""
        self._hang_up()
        deadline = time.monotonic() + _END_SECONDS
        while self._process.is_alive() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)  # `join` with a limit would wait for what the process has started, too
        self._process.kill()
        self._process.join()


def in_fork(function: Callable[[], T]) -> T:
    """What a function returns or raises in a process of its own.

    Raises:
        DiedError: the process ended instead.
    """
    with closing(ForkedProcess()) as process:
        return process.call(function)


def _serve(theirs: Connection, ours: Connection) -> None:
    ours.close()  # else it would wait for itself when the other process has ended
    while True:
        try:
            function = theirs.recv()
        except EOFError:
            return
        try:
            answer = function(), None
        except Exception as error:
            answer = None, _as_sent(error)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        try:
            theirs.send(answer)
        except ConnectionError:
            return  # nobody waits for it any more


def _as_sent(error: Exception) -> Exception:
    """An error that can be sent; one that can't be pickled is told by another."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
