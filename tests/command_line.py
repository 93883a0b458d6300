"""The command line in this process: what it was given, how it ended, what it printed."""

import contextlib
import io
import traceback
from collections.abc import Sequence
from typing import NamedTuple

from skiplab import cli


class Ended(NamedTuple):
    """How a command ended: its exit code, -1 for a traceback, and all that it printed."""

    code: int
    text: str


def run_command(arguments: Sequence[str]) -> Ended:
    """`skiplab ARGUMENTS`, without a process of its own."""
    printed, code = io.StringIO(), 0
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            cli.main(arguments)
        except SystemExit as ended:
            code = ended.code or 0
        except Exception:
            code = -1
            traceback.print_exc()
    return Ended(code, printed.getvalue())
