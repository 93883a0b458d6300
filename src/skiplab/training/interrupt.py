"""A trial that is told to stop saves where it stands, says so in its record, and can be resumed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from skiplab.errors import Interrupted

# Signals that end a trial, and the handlers in whose place ours may stand; another's means that somebody else decides.
# A cluster's warning, SIGUSR2, is always heard: whoever handled it, such as a requeue, is called after the checkpoint.
_FREE = {signal.SIGTERM: (signal.SIG_DFL,), signal.SIGINT: (signal.default_int_handler,), signal.SIGUSR2: None}


class Interruption:
    """Hears SIGTERM, SIGINT and SIGUSR2.

    While the trial trains, the first of them is noted, and the running step ends first; at any other time it
    raises `Interrupted` at once, and so does a second SIGINT.
    """

    def __init__(self) -> None:
        self.training = False
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
        if not self.training or (again and signum == signal.SIGINT):
            self.check()


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Hear the signals during the block; an `Interrupted` that leaves it is handed on to the earlier handler."""
    interruption = Interruption()
    interruption.listen()
    try:
        yield interruption
    except Interrupted as stop:
        interruption.restore()
        interruption.hand_on(stop.signum)
        raise
    finally:
        interruption.restore()


class StopWhenTold(pl.Callback):
    """Saves a checkpoint at the end of the step in which a signal was heard, and ends training.

    Args:
        interruption: hears the signals.
    """

    def __init__(self, interruption: Interruption) -> None:
        self.interruption = interruption

    def on_train_start(self, trainer, module) -> None:
        self.interruption.listen()  # the trainer has put handlers of its own before ours
        self.interruption.training = True

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index) -> None:
        if self.interruption.signum is not None and not trainer.should_stop:
            folder = trainer.checkpoint_callback.dirpath
            trainer.save_checkpoint(f"{folder}/step={trainer.global_step}.ckpt")
            trainer.should_stop = True
