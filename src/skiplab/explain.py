"""How a command ends on a mistake or a signal: with one message."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from skiplab.errors import Interrupted, SkiplabError
from skiplab.hydra_errors import explained
from skiplab.printable import printable
from skiplab.records.writable import UNWRITABLE


def explain(run: Callable[[], None], words: Sequence[str]) -> None:
    """Show a mistake or a signal as one message; exit with 1, or for a signal with 128 + its number.

    Args:
        run: the command.
        words: that it was called with.
    """
    try:
        with explained(words):
            run()
        sys.stdout.flush()
    except SkiplabError as error:
        stop(error)
    except Interrupted as signalled:
        print(f"skiplab: stopped by {signalled}; the same command goes on from here", file=sys.stderr)
        raise SystemExit(128 + signalled.signum) from None
    except KeyboardInterrupt:  # where nothing is at work that could be lost
        raise SystemExit(128 + signal.SIGINT) from None
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _print_no_more()
    except OSError as error:
        if error.errno not in UNWRITABLE or error.filename is not None:  # a stream has no name
            raise
        _print_no_more()
        stop(SkiplabError(f"can't print: {error.strerror}; free space where the output goes, or send it elsewhere"))


def _print_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stop(error: SkiplabError) -> NoReturn:
    """Print the message and exit with 1."""
    print(f"skiplab: {printable(error)}", file=sys.stderr)
    raise SystemExit(1) from None
