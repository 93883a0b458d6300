"""`skiplab effects`: main effects and interactions of a study, in the terminal and as a file."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skiplab.analysis import terminal
from skiplab.analysis.output_files import write, writing
from skiplab.analysis.results.open_study import NO_COLUMNS, FileColumns, open_study
from skiplab.analysis.study.arms import factor_under_test
from skiplab.analysis.study.measured_study import check_has_numbers
from skiplab.analysis.tables.comparison import select_metrics
from skiplab.analysis.tables.effects_table import EFFECT_HEADINGS, UNPAIRED_NOTE, effect_rows, effects_table
from skiplab.printable import printable
from skiplab.records.spreadsheet import csv_text


def effects_command(
    study_name: str,
    runs_dir: Path,
    factor: str | None = None,
    control: str | None = None,
    metrics: Sequence[str] | None = None,
    console: Console | None = None,
    columns: FileColumns = NO_COLUMNS,
) -> None:
    """Print the effects on each metric, and write them to effects.csv beside the study.

    Raises:
        SkiplabError: where the study is no full grid, or a name is unknown.
    """
    console = console or terminal.console()
    study, metrics = open_study(study_name, runs_dir, columns, metrics)
    check_has_numbers(study, "effects")
    factor, names = factor_under_test(study, factor), select_metrics(study, metrics)
    tables = [effects_table(study, name, factor, control) for name in names]
    for name, table in zip(names, tables, strict=True):
        console.print(Text.assemble((f"\n{printable(name)}", "bold"), f"  {printable(study.metrics[name].label)}"))
        console.print(_rich_table(effect_rows(table)))
    console.print(
        "Means over all cells; an interaction says by how much cells differ. p is adjusted over the rows of a metric.",
        style="dim",
    )
    if not all(table["paired"].all() for table in tables):
        console.print(UNPAIRED_NOTE, style="dim")
    with writing(study.folder, console):
        terminal.say_written(console, [write(study.folder / "effects.csv", csv_text(pd.concat(tables)))])
    terminal.say_problems(console, study.problems)


def _rich_table(rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for position, name in enumerate(EFFECT_HEADINGS):
        table.add_column(name, justify="right" if position else "left", no_wrap=position > 0)
    for row in rows:
        table.add_row(*(Text(printable(entry)) for entry in row))
    return table
