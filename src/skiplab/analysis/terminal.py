"""The console that commands print to, and the lines that they share."""

import io
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console

from skiplab.printable import printable
from skiplab.records.read_records import Problem, readable

_WIDTH = 100


def console(width: int = _WIDTH) -> Console:
    """A console on standard output: as wide as the terminal, or of this width in a pipe, a file or a notebook."""
    return Console(width=None if sys.stdout.isatty() else width, force_jupyter=False)


def plain_text(show: Callable[[Console], None]) -> str:
    """What is shown on a console of 100 columns, without styles."""
    buffer = io.StringIO()
    show(Console(file=buffer, width=_WIDTH, color_system=None, force_jupyter=False))
    return "\n".join(line.rstrip() for line in buffer.getvalue().strip("\n").splitlines())


def say(console: Console, line: str) -> None:
    """Print a line literally: unbroken, without markup or colors."""
    console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def say_written(console: Console, paths: Iterable[Path]) -> None:
    """Say which files were written."""
    for path in paths:
        say(console, f"written: {path}")


def say_problems(console: Console, problems: Iterable[Problem]) -> None:
    """Say which parts of a study could not be read."""
    for problem in readable(problems):
        say(console, f"not read: {problem.where}: {problem.reason}")
