"""Signals that tell work to stop: noted until it can stop without loss, or raised at once."""

import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from skiplab.errors import Interrupted

# Signals that end work, and the handlers in whose place ours may stand; another's means that somebody else decides.
# A cluster's warning, SIGUSR2, is always heard: whoever handled it, such as a requeue, is called after the checkpoint.
_FREE = {signal.SIGTERM: (signal.SIG_DFL,), signal.SIGINT: (signal.default_int_handler,), signal.SIGUSR2: None}


class Interruption:
    """Hears SIGTERM, SIGINT and SIGUSR2.

    While it is `patient`, the first of them is noted, and whoever works looks at `signum` when they can stop; else
    it raises `Interrupted` at once, and so does a second SIGINT.

    Args:
        when_heard: called at once when a signal is noted.
    """

    def __init__(self, when_heard: Callable[[], None]) -> None:
        self.when_heard = when_heard
        self.patient = False
        self.signum: int | None = None
        self._before: dict[int, Any] = {}

    def listen(self) -> None:
        """Take the place of the signals' free handlers; once more, where others have pushed in since."""
        if threading.current_thread() is not threading.main_thread():
            return  # only a process's main thread hears signals
        for signum, free in _FREE.items():
            self._before.setdefault(signum, signal.getsignal(signum))
            if free is None or self._before[signum] in free:
                signal.signal(signum, self._hear)

    def restore(self) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def hand_on(self, signum: int) -> None:
        """Call whoever handled the signal before, such as a scheduler's requeue."""
        handler = self._before.get(signum)
        if callable(handler) and handler is not signal.default_int_handler:
            handler(signum, None)

    def check(self) -> None:
        """Raise what was noted.

        Raises:
            Interrupted: where a signal was heard.
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
    """Hear the signals during the block; an `Interrupted` that leaves it is handed on to the earlier handler."""
    interruption = Interruption(when_heard)
    interruption.listen()
    try:
        yield interruption
    except Interrupted as stop:
        interruption.restore()
        try:
            interruption.hand_on(stop.signum)
        except Exception:  # a requeue may itself be cut short by the end that it asks for
            traceback.print_exc()
        raise
    finally:
        interruption.restore()
