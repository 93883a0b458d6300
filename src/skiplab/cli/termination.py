"""How a command ends on a mistake or a signal: with one message and an exit status."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from skiplab.configuration.hydra_errors import explained
from skiplab.errors import Interrupted, SkiplabError
from skiplab.printable import printable
from skiplab.records.writable import UNWRITABLE


def run_command(run: Callable[[], None], words: Sequence[str]) -> None:
    """Run a command; print a mistake or a signal as one message and exit with 1, or for a signal with 128 + its number.

    Args:
        run: the command.
        words: its command line.
    """
    try:
        with explained(words):
            run()
        sys.stdout.flush()
    except SkiplabError as error:
        try:
            sys.stdout.flush()
        except OSError:
            _discard_output()
        exit_with(error)
    except Interrupted as interrupted:
        print(f"skiplab: interrupted by {interrupted}; run the same command again to continue", file=sys.stderr)
        raise SystemExit(128 + interrupted.signum) from None
    except KeyboardInterrupt:  # nothing was running that could be lost
        raise SystemExit(128 + signal.SIGINT) from None
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _discard_output()
    except OSError as error:
        if error.errno not in UNWRITABLE or error.filename is not None:  # a stream has no file name
            raise
        _discard_output()
        exit_with(SkiplabError(f"can't print: {error.strerror}; free disk space or redirect the output"))


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def exit_with(error: SkiplabError) -> NoReturn:
    """Print the message and exit with 1."""
    print(f"skiplab: {printable(error)}", file=sys.stderr)
    raise SystemExit(1) from None
