"""What may end a command early: a user's mistake, or a signal."""

import signal


class SkiplabError(Exception):
    """What was received, what is valid, what to do; raised before work starts wherever that can be known."""


class Interrupted(BaseException):
    """A signal ended the work, which can be resumed; no `except Exception` of a library swallows it.

    Args:
        signum: the signal's number.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum

    def __str__(self) -> str:
        return signal.Signals(self.signum).name
