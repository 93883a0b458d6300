"""Shows a running sweep, whichever launcher runs it, by reading the records."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from skiplab.errors import SkiplabError
from skiplab.sweeps.job import Job

_ENDED = ("done", "diverged", "failed")


@contextmanager
def follow(jobs: Sequence[Job], every_seconds: float = 1.0) -> Iterator[None]:
    """Draw a bar with time to go while the block runs; without a terminal, a plain line now and then."""
    stop = threading.Event()
    thread = threading.Thread(target=_draw, args=(jobs, stop, every_seconds), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _draw(jobs: Sequence[Job], stop: threading.Event, every_seconds: float) -> None:
    console = Console()
    started, total = time.monotonic(), sum(job.cost for job in jobs)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
    next_line = 0.0
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=total, left="")
        while not stop.wait(every_seconds):
            states = [_state(job) for job in jobs]
            worked = sum(job.cost * share for job, (_, share) in zip(jobs, states, strict=True))
            names = [status for status, _ in states]
            line = f"{sum(name in _ENDED for name in names)}/{len(jobs)} trials"
            line += "".join(f", {names.count(name)} {name}" for name in ("diverged", "failed") if name in names)
            elapsed = time.monotonic() - started
            left = f"{elapsed * (total - worked) / worked:.0f} s to go" if worked else "time to go unknown yet"
            bar.update(task, completed=worked, description=line, left=left)
            if not console.is_terminal and elapsed >= next_line:
                print(f"{line}, {elapsed:.0f} s elapsed, {left}", flush=True)
                next_line = elapsed + 15


def _state(job: Job) -> tuple[str, float]:
    """A trial's status and the share of its work that is done."""
    try:
        content = job.record.read()
    except SkiplabError:
        return "failed", 1.0
    status = content.get("status", "waiting")
    if status in _ENDED:
        return status, 1.0
    history = job.record.folder / "history.csv"
    if status != "running" or not history.exists():
        return status, 0.0
    return status, min(1.0, last_step(history) / job.config.trainer.max_steps)


def last_step(history) -> int:
    """The step of the last complete row."""
    with history.open("rb") as file:
        file.seek(max(0, history.stat().st_size - 200))
        complete = file.read().split(b"\n")[1:-1]
    return int(complete[-1].split(b",")[0]) + 1 if complete else 0
