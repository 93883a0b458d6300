"""Signals that stop work: noted until it can stop without loss, or raised at once."""

import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from skiplab.errors import Interrupted

# Signals that stop work, with the handlers that ours may replace; another handler belongs to someone else and stays.
# SIGUSR2, a cluster's warning, is always handled; its earlier handler, such as a requeue, runs after the checkpoint.
_REPLACEABLE = {
    signal.SIGTERM: (signal.SIG_DFL,),
    signal.SIGHUP: (signal.SIG_DFL,),  # the terminal was closed; under nohup it is ignored
    signal.SIGINT: (signal.default_int_handler,),
    signal.SIGUSR2: None,
}


class Interruption:
    """Handles SIGTERM, SIGHUP, SIGINT and SIGUSR2.

    While it is `patient`, a signal is only noted as `signum`, for work that stops when it can. Otherwise a signal
    raises `Interrupted` at once, and so does a second SIGINT.

    Args:
        when_heard: called at once when a signal is noted.
    """

    def __init__(self, when_heard: Callable[[], None]) -> None:
        self.when_heard = when_heard
        self.patient = False
        self.signum: int | None = None
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Install our handlers; call it again if others may have replaced them."""
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread of a process receives signals
        for signum, free in _REPLACEABLE.items():
            self._before.setdefault(signum, signal.getsignal(signum))
            if free is None or self._before[signum] in free:
                signal.signal(signum, self._hear)

    def restore(self) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def hand_on(self, signum: int) -> None:
        """Call the earlier handler of a signal, such as a scheduler's requeue."""
        handler = self._before.get(signum)
        if callable(handler) and handler is not signal.default_int_handler:
            handler(signum, None)

    def check(self) -> None:
        """Raise a signal that was noted.

        Raises:
            Interrupted: if there was one.
        """
        if self.signum is not None:
            raise Interrupted(self.signum)

    def _hear(self, signum: int, frame: FrameType | None) -> None:
        again = self.signum is not None
        self.signum = signum
        if not self.patient or (again and signum == signal.SIGINT):
            self.check()
        self.when_heard()


@contextmanager
def interruptible(when_heard: Callable[[], None] = lambda: None) -> Iterator[Interruption]:
    """Handle the signals during the block; after an `Interrupted`, call the earlier handler of its signal."""
    interruption = Interruption(when_heard)
    interruption.listen()
    try:
        yield interruption
    except Interrupted as stop:
        interruption.restore()
        try:
            interruption.hand_on(stop.signum)
        except Exception:  # a requeue may be killed by the end of the job that it requests
            traceback.print_exc()
        raise
    finally:
        interruption.restore()
