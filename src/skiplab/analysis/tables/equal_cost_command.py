"""`skiplab equal-cost`: the best depth of each arm at equal cost, in the terminal and as a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skiplab.analysis import terminal
from skiplab.analysis.claims.study_claims import study_claims
from skiplab.analysis.output_files import write, writing
from skiplab.analysis.study.measured_study import check_has_numbers
from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables.comparison import Selection, find_comparison
from skiplab.analysis.tables.equal_cost import COST_UNITS, equal_cost_metric, equal_cost_table, numeric_factor
from skiplab.analysis.tables.equal_cost_text import (
    EQUAL_COST_CAPTION,
    equal_cost_cells,
    equal_cost_headings,
    equal_cost_rows,
)
from skiplab.printable import printable
from skiplab.records.spreadsheet import csv_text


def equal_cost_command(
    study_name: str,
    runs_dir: Path,
    factor: str | None = None,
    control: str | None = None,
    over: str | None = None,
    metrics: Sequence[str] | None = None,
    console: Console | None = None,
) -> None:
    """Print the best depth of each arm at equal cost, and write it to equal_cost.csv beside the study.

    Raises:
        SkiplabError: if no trial has a number, or a name is unknown or doesn't fit.
    """
    console = console or terminal.console()
    study = read_study(study_name, runs_dir)
    check_has_numbers(study, "equal-cost")
    compared = find_comparison(study, study_claims(study, None), Selection(factor, control, metrics))
    over = numeric_factor(study, compared.factor, over)
    names = metrics or [equal_cost_metric(study, compared.metrics)]
    options = {"factor": compared.factor, "control": compared.control, "over": over}
    table = pd.concat([equal_cost_table(study, name, **options) for name in names]).drop_duplicates(ignore_index=True)
    footnotes = []
    for names_of_part, part in table.groupby(["metric", "cost"], sort=False):
        metric, cost = cast("tuple[str, str]", names_of_part)
        console.print(Text(f"\n{printable(metric)} at equal {COST_UNITS[cost]}", style="bold"))
        console.print(_grid(part, over))
        lines = zip(equal_cost_rows(part), part["notes"], strict=True)
        footnotes += [f"{', '.join(row[: _num_texts(part)])}: {note}" for row, note in lines if note]
    console.print(Text(EQUAL_COST_CAPTION.format(over=over, control=compared.control), style="dim"))
    for line in footnotes:
        terminal.say(console, line)
    with writing(study.folder, console):
        terminal.say_written(console, [write(study.folder / "equal_cost.csv", csv_text(table))])
    terminal.say_problems(console, study.problems)


def _num_texts(table: pd.DataFrame) -> int:
    """The columns up to the arm's."""
    return len(equal_cost_cells(table)) + 3


def _grid(table: pd.DataFrame, over: str) -> Table:
    """The rows on one metric and kind of cost, which the heading above names; notes stand below the table."""
    left_out = len(equal_cost_cells(table))
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for position, heading in enumerate(equal_cost_headings(table, over)[:-1]):
        if position != left_out:
            grid.add_column(Text(printable(heading)), justify="left" if position < _num_texts(table) else "right")
    for row in equal_cost_rows(table):
        grid.add_row(*(Text(printable(entry)) for position, entry in enumerate(row[:-1]) if position != left_out))
    return grid
