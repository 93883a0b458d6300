"""The progress of a running sweep, read from its records, whichever launcher runs it."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from skiplab.analysis import terminal
from skiplab.sweeps.job import Job, distinct_overrides
from skiplab.sweeps.status import Standing, duration, standing

_ENDED = ("done", "diverged", "failed", "unreadable")
_TRAINING = 0.9  # fraction of the time of a trial that is spent before its evaluation
_LINE_SECONDS = 15  # between two lines where there is no terminal


@contextmanager
def follow(jobs: Sequence[Job], every_seconds: float = 1.0) -> Iterator[None]:
    """During the block, show one line for the sweep and one for each running trial; without a terminal, print lines.

    The sweep goes on when the reader of the lines has gone.
    A worker runs one trial at a time, so there are as many trial lines as busy workers.
    """
    stop = threading.Event()
    thread = threading.Thread(target=_draw, args=(Sweep(jobs), stop, every_seconds), daemon=True)
    if jobs:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if jobs:
            thread.join()


class Sweep:
    """The progress of the trials of a sweep; a trial that has ended isn't read again.

    Args:
        jobs: the trials that were left when the sweep started.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = list(jobs)
        self._overrides = distinct_overrides(jobs)
        self.started = time.monotonic()
        self.standings: dict[Job, Standing] = {}  # of those that have begun
        self.update()
        self._worked_before = self._worked()

    def update(self) -> None:
        """Read the records of the trials that have begun and not ended, which are few among thousands."""
        begun = {folder: _entries(folder) for folder in {job.record.runs_dir for job in self.jobs}}
        for job in self.jobs:
            has_ended = job in self.standings and self.standings[job].state in _ENDED
            if not has_ended and job.record.key in begun[job.record.runs_dir]:
                self.standings[job] = standing(job.record)

    def _worked(self) -> float:
        return sum(
            job.cost * (1.0 if each.state in _ENDED else _TRAINING * each.fraction)
            for job, each in self.standings.items()
        )

    @property
    def running(self) -> list[tuple[Job, Standing]]:
        return [(job, each) for job, each in self.standings.items() if each.state == "running"]

    @property
    def fraction(self) -> float:
        """The fraction of the work that is done."""
        return self._worked() / sum(job.cost for job in self.jobs)

    def line(self) -> str:
        """How many trials ended and how, their rate, the elapsed and the remaining time."""
        elapsed = time.monotonic() - self.started
        counts = Counter(each.state for each in self.standings.values())
        ended = sum(counts[state] for state in _ENDED)
        others = "".join(f", {counts[state]} {state}" for state in _ENDED[1:] if counts[state])
        rate = f", {60 * ended / elapsed:.1f} a minute" if ended else ""
        done_here = self._worked() - self._worked_before
        left = sum(job.cost for job in self.jobs) - self._worked()
        remaining = f"about {duration(elapsed * left / done_here)} left" if done_here else "time left unknown yet"
        return f"{ended}/{len(self.jobs)} trials{others}{rate}, {duration(elapsed)} elapsed, {remaining}"

    def __rich__(self) -> Group:
        grid = Table.grid(padding=(0, 2))
        for job, each in self.running:
            bar = ProgressBar(total=1.0, completed=each.fraction, width=20)
            grid.add_row(bar, Text(each.note), Text(self._overrides[job], overflow="ellipsis", no_wrap=True))
        return Group(grid, Text(self.line()))


def _entries(folder: Path) -> set[str]:
    """What lies in a folder; nothing where there is none yet, or none any more."""
    try:
        return set(os.listdir(folder))
    except OSError:
        return set()


def _draw(sweep: Sweep, stop: threading.Event, every_seconds: float) -> None:
    console = terminal.console()
    with suppress(BrokenPipeError), Live(sweep, console=console, auto_refresh=False, transient=True) as live:
        next_line = 0.0
        while not stop.wait(every_seconds):
            sweep.update()
            elapsed = time.monotonic() - sweep.started
            if console.is_terminal:
                live.refresh()
            elif elapsed >= next_line:
                print(sweep.line(), flush=True)
                next_line = elapsed + _LINE_SECONDS
