"""How far a study is: the state of each trial, and the time left."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from skiplab.analysis import terminal
from skiplab.errors import SkiplabError
from skiplab.printable import counted, one_line
from skiplab.records.file_names import HISTORY, KEYS
from skiplab.records.finished_files import explain_truncated
from skiplab.records.foreign_files import leads_out
from skiplab.records.record import Record
from skiplab.records.record_schema import RecordContent
from skiplab.records.statuses import FINISHED
from skiplab.records.study_list import read_keys, study_folder, study_names
from skiplab.sweeps.job import work

STATES = ("done", "diverged", "running", "interrupted", "failed", "unreadable", "pending")
_STYLES = {"done": "green", "running": "cyan", "failed": "red", "unreadable": "red", "diverged": "magenta"}
_MOST_SHOWN = 200  # trials; of thousands that wait for something, nobody reads a line each
_MAX_REASON = 160  # characters of the reason of a failure that are shown


class Started(NamedTuple):
    """What a record says of a trial that has begun; a study of many can't keep the records.

    settings: its choices and settings. work: blocks times channels times steps. wall_seconds: spent on it so far.
    """

    settings: Mapping[str, Any]
    work: float
    wall_seconds: float


class Standing(NamedTuple):
    """One trial of a study: its state, the fraction of its steps that is done, a note, and what its record says."""

    key: str
    state: str
    fraction: float
    note: str
    started: Started | None = None


def status_command(study: str, runs_dir: Path, watch: bool, every_seconds: float = 2.0) -> None:
    """Print how far a study is; with `watch`, update the display until no trial is running.

    Raises:
        SkiplabError: there is no such study.
    """
    console = terminal.console()
    standings = read_standings(study, runs_dir)
    with Live(render(study, standings), console=console, auto_refresh=False, transient=True) as live:
        while watch and any(each.state == "running" for each in standings):
            time.sleep(every_seconds)
            standings = read_standings(study, runs_dir)
            live.update(render(study, standings), refresh=True)
    console.print(render(study, standings))


def read_standings(study: str, runs_dir: Path) -> list[Standing]:
    """All trials in the list of a study.

    Raises:
        SkiplabError: there is no such study, or its list can't be read.
    """
    folder = study_folder(runs_dir, study)
    if not (folder / KEYS).exists():
        raise SkiplabError(f"no study {study!r} in {runs_dir}; valid: {', '.join(study_names(runs_dir)) or 'none yet'}")
    keys, invalid = read_keys(folder)
    no_keys = [
        Standing(repr(line)[:40], "unreadable", 0.0, f"not a key of a trial, in {folder / KEYS}") for line in invalid
    ]
    return [*(standing(Record(runs_dir, key)) for key in keys), *no_keys]


def standing(record: Record) -> Standing:
    """The state of a trial."""
    try:
        content = record.read_if_any()
        return Standing(record.key, "pending", 0.0, "") if content is None else _standing(record, content)
    except (SkiplabError, ValueError) as error:
        return Standing(record.key, "unreadable", 0.0, str(error))


def _standing(record: Record, content: RecordContent) -> Standing:
    work_of = work(*(_size(content, name) for name in ("depth", "width", "trainer.max_steps")))
    started = Started({**content["factors"], **content["choices"]}, work_of, content["provenance"]["wall_seconds"])
    status = content["status"]
    if status in FINISHED:
        at = [f"at step {content['diverged_step']}"] if status == "diverged" else []
        truncated = [f"{name}: {reason}" for name, reason in explain_truncated(record.folder, content)]
        failed = [f"{measures} failed: {why}" for measures, why in content.get("failed", {}).items()]
        return Standing(record.key, status, 1.0, "; ".join([*at, *truncated, *failed]), started)
    history, max_steps = record.folder / HISTORY.file, int(_size(content, "trainer.max_steps"))
    steps = _last_step(history) if history.is_file() and not leads_out(history, record.folder) else 0
    fraction = min(1.0, steps / max_steps)
    if status == "failed":
        reason = (content["error"] or "no reason recorded").strip().splitlines()[-1]
        return Standing(record.key, "failed", fraction, reason[:_MAX_REASON], started)
    if record.held:
        return Standing(record.key, "running", fraction, f"step {steps} of {max_steps}", started)
    reason = content["error"] if status == "interrupted" else "its process has died"
    return Standing(record.key, "interrupted", fraction, f"step {steps} of {max_steps}, {reason}", started)


def seconds_left(standings: Sequence[Standing]) -> float | None:
    """The work that is left at the speed of the finished trials, with a worker for each running one; None if unknown.

    The work of a trial is blocks times channels times steps, and for a trial that hasn't begun the mean of the others.
    """
    works = {each.key: each.started.work for each in standings if each.started}
    taken = {each.key: each.started.wall_seconds for each in standings if each.started and each.state == "done"}
    running = sum(each.state == "running" for each in standings)
    if not taken or not running:
        return None
    mean = sum(works.values()) / len(works)
    open_states = ("running", "interrupted", "pending")
    left = sum(works.get(each.key, mean) * (1 - each.fraction) for each in standings if each.state in open_states)
    return left * sum(taken.values()) / sum(works[key] for key in taken) / running


def _size(content: RecordContent, name: str) -> float:
    """A factor that must be a positive number.

    Raises:
        ValueError: if it isn't.
    """
    value = content["factors"].get(name)
    if not isinstance(value, int | float) or value <= 0:
        raise ValueError(f"its factor {name} is {value!r}; valid: a positive number")
    return value


def summary(study: str, standings: Sequence[Standing]) -> str:
    """How many trials are in which state, and the time left."""
    counts = Counter(each.state for each in standings)
    words = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    left = seconds_left(standings)
    remaining = "" if left is None else f"; about {duration(left)} left"
    return f"study {study}: {counted(len(standings))}, {words or 'none'}{remaining}"


def render(study: str, standings: Sequence[Standing]) -> Group:
    """A line of counts, then a line for each trial that is running or needs attention, up to a number one can read."""
    line = Text(summary(study, standings))
    shown = [each for each in standings if each.state not in ("done", "pending") or each.note]
    if not shown:
        return Group(line)
    table = Table("trial", "differs in", "state", "note", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    varying = _varying(standings)
    for each in shown[:_MOST_SHOWN]:
        own = each.started.settings if each.started else {}
        differs = " ".join(f"{name}={own[name]}" for name in varying if name in own)
        state = Text(each.state, style=_STYLES.get(each.state, "yellow"))
        table.add_row(Text(each.key), Text(one_line(differs)), state, Text(one_line(each.note)))
    left_out = [Text(f"and {len(shown) - _MOST_SHOWN} more trials")] if len(shown) > _MOST_SHOWN else []
    return Group(line, table, *left_out)


def _varying(standings: Sequence[Standing]) -> list[str]:
    """The options and settings in which the trials of the study differ, the seed last."""
    rows = [each.started.settings for each in standings if each.started]
    first = rows[0] if rows else {}
    every = dict.fromkeys(name for row in rows for name in row)
    differ = {name for row in rows for name in every if row.get(name) != first.get(name)}
    return sorted((name for name in every if name in differ), key=lambda name: (name == "seed", name))


def duration(seconds: float) -> str:
    """Seconds as text, in a suitable unit."""
    minutes, hours = seconds / 60, seconds / 3600
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if hours < 2 else f"{hours:.1f} h"


def _last_step(history: Path) -> int:
    """The number of finished steps, from the last complete row of the history."""
    with history.open("rb") as file:
        file.seek(max(0, history.stat().st_size - 200))
        complete = file.read().split(b"\n")[1:-1]
    return int(complete[-1].split(b",")[0]) + 1 if complete else 0
