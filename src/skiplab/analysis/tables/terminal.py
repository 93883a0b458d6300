"""Where the analysis prints: the terminal as wide as it is, a pipe or a file 100 columns wide."""

import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from skiplab.printable import printable
from skiplab.records.read_records import Problem


def console() -> Console:
    """A console on standard output."""
    return Console(width=None if sys.stdout.isatty() else 100)


def say(console: Console, words: str) -> None:
    """Print a line as it stands: unbroken, without markup or colours."""
    console.print(printable(words), markup=False, highlight=False, soft_wrap=True)


def say_written(console: Console, paths: Iterable[Path]) -> None:
    """Say which files were written."""
    for path in paths:
        say(console, f"written: {path}")


def say_problems(console: Console, problems: Iterable[Problem]) -> None:
    """Say what of a study could not be read."""
    for problem in problems:
        say(console, f"not read: {problem.where}: {problem.reason}")
