"""Shows a running sweep, whichever launcher runs it, by reading the records."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from skiplab.sweeps.job import Job, own_words
from skiplab.sweeps.status import Standing, duration, standing

_ENDED = ("done", "diverged", "failed", "unreadable")
_TRAINING = 0.9  # share of a trial's time before its evaluation
_LINE_SECONDS = 15  # between two plain lines where there is no terminal


@contextmanager
def follow(jobs: Sequence[Job], every_seconds: float = 1.0) -> Iterator[None]:
    """While the block runs, draw a line for the sweep and one for each trial that runs; plain lines without a terminal.

    A worker has one trial at a time, so there are as many lines as workers at work.
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
    """Where the trials of a sweep stand; one that has ended isn't read again.

    Args:
        jobs: the trials that were left when the sweep began.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = list(jobs)
        self._words = own_words(jobs)
        self.started = time.monotonic()
        self.standings: dict[Job, Standing] = {}
        self.look()
        self._worked_before = self._worked()

    def look(self) -> None:
        """Read the records of the trials that have not ended."""
        for job in self.jobs:
            if job not in self.standings or self.standings[job].state not in _ENDED:
                self.standings[job] = standing(job.record)

    def _worked(self) -> float:
        shares = {job: 1.0 if each.state in _ENDED else _TRAINING * each.share for job, each in self.standings.items()}
        return sum(job.cost * share for job, share in shares.items())

    @property
    def running(self) -> list[tuple[Job, Standing]]:
        return [(job, each) for job, each in self.standings.items() if each.state == "running"]

    @property
    def share(self) -> float:
        """The share of the work that is done."""
        return self._worked() / sum(job.cost for job in self.jobs)

    def line(self) -> str:
        """How many trials ended and how, their rate, the time it took and the time to go."""
        elapsed = time.monotonic() - self.started
        counts = Counter(each.state for each in self.standings.values())
        ended = sum(counts[state] for state in _ENDED)
        told = "".join(f", {counts[state]} {state}" for state in _ENDED[1:] if counts[state])
        rate = f", {60 * ended / elapsed:.1f} a minute" if ended else ""
        done_here = self._worked() - self._worked_before
        left = sum(job.cost for job in self.jobs) - self._worked()
        ahead = f"about {duration(elapsed * left / done_here)} to go" if done_here else "time to go unknown yet"
        return f"{ended}/{len(self.jobs)} trials{told}{rate}, {duration(elapsed)} elapsed, {ahead}"

    def __rich__(self) -> Group:
        grid = Table.grid(padding=(0, 2))
        for job, each in self.running:
            bar = ProgressBar(total=1.0, completed=each.share, width=20)
            grid.add_row(bar, Text(each.note), Text(self._words[job], overflow="ellipsis", no_wrap=True))
        return Group(grid, Text(self.line()))


def _draw(sweep: Sweep, stop: threading.Event, every_seconds: float) -> None:
    console = Console()
    with Live(sweep, console=console, auto_refresh=False, transient=True) as live:
        next_line = 0.0
        while not stop.wait(every_seconds):
            sweep.look()
            elapsed = time.monotonic() - sweep.started
            if console.is_terminal:
                live.refresh()
            elif elapsed >= next_line:
                print(sweep.line(), flush=True)
                next_line = elapsed + _LINE_SECONDS
