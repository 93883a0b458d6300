"""`skiplab import`: the runs of someone's own training code, from their tracker, as a table of results."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from skiplab.analysis import terminal
from skiplab.analysis.output_files import write, writing
from skiplab.analysis.results.columns import parse_metric
from skiplab.analysis.text import level_text
from skiplab.analysis.trackers.find_runs import Tracker, find_runs
from skiplab.analysis.trackers.imported import STATUS, Imported, Wanted, as_table
from skiplab.errors import SkiplabError
from skiplab.printable import counted, printable
from skiplab.records.spreadsheet import csv_text

_ENDINGS = (".csv", ".parquet")


def import_command(
    source: str,
    target: Path,
    wanted: Wanted,
    *,
    tracker: Tracker | None = None,
    history: Path | None = None,
    api: Any = None,
    console: Console | None = None,
) -> Imported:
    """Write the table of a source's runs, and print what is missing or doubtful in it.

    Args:
        source: a folder, or ENTITY/PROJECT of Weights & Biases.
        target: where the table goes, .csv or .parquet.
        wanted: what its columns are made from; metrics are `NAME:DIRECTION`.
        tracker: who wrote the runs; None: the only tracker that did.
        history: where the values of each step go; None: nowhere.
        api: a wandb.Api; None to make one.
        console: where lines are printed.

    Raises:
        SkiplabError: there are no runs, none has what is wanted, or the table can't be written.
    """
    console = console or terminal.console()
    for path in (target, *([history] if history else [])):
        if path.suffix.lower() not in _ENDINGS:
            raise SkiplabError(f"{printable(path)} has no ending of a table; valid: {', '.join(_ENDINGS)}")
    named = wanted._replace(metrics=tuple(parse_metric(text)[0] for text in wanted.metrics))
    if repeated := [name for name in named.identity if named.identity.count(name) > 1]:
        raise SkiplabError(f"{printable(repeated[0])!r} is named twice; valid: a name each for --arm, --seed and --by")
    runs, problems = find_runs(source, tracker, api=api, with_history=history is not None)
    found = as_table(runs, problems, named)
    for line in found.doubts:
        terminal.say(console, line)
    if found.table.empty:
        raise SkiplabError(f"no run of {printable(source)} has an arm and a seed, so no table was written")
    with writing(target.parent, console, answered=False):
        terminal.say_written(console, [_write(target, found.table)])
        if history:
            terminal.say_written(console, [_write(history, found.history)])
    arms = found.table[found.columns[named.arm]].map(level_text).value_counts(sort=False)
    shown = ", ".join(f"{count} of {arm}" for arm, count in arms.items())
    terminal.say(console, f"{counted(len(found.table)).replace('trial', 'run')}: {shown}")
    terminal.say(console, f"next: {_next_command(target, found, named, wanted.metrics)}")
    return found


def _write(path: Path, table: pd.DataFrame) -> Path:
    if path.suffix.lower() == ".csv":
        return write(path, csv_text(table))
    mixed = [name for name in table.columns if len({type(value) for value in table[name]}) > 1]
    texts = [name for name in mixed if not pd.api.types.is_numeric_dtype(table[name])]
    return write(path, table.astype(dict.fromkeys(texts, "str")).to_parquet(index=False))


def _next_command(target: Path, found: Imported, named: Wanted, metrics: Sequence[str]) -> str:
    """The command that judges the table."""
    words = ["skiplab", "compare", str(target), "--arm", found.columns[named.arm], "--seed", found.columns[named.seed]]
    words += [word for name in named.by for word in ("--by", found.columns[name])]
    words += ["--status", STATUS, *(word for text in metrics for word in ("--metric", text))]
    return shlex.join(words)
