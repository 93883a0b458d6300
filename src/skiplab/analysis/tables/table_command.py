"""`skiplab table`: a study's comparison table, in the terminal and as files."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from skiplab.analysis import terminal
from skiplab.analysis.output_files import write, writing
from skiplab.analysis.results.open_study import NO_COLUMNS, FileColumns, open_study
from skiplab.analysis.study.arms import factor_under_test, status_counts
from skiplab.analysis.tables.comparison_table import comparison_table
from skiplab.analysis.tables.rates_table import rates_table
from skiplab.analysis.tables.table_files import write_tables
from skiplab.analysis.tables.table_text import print_rates, print_table
from skiplab.printable import counted
from skiplab.records.spreadsheet import csv_text


def table_command(
    study_name: str,
    runs_dir: Path,
    factor: str | None = None,
    control: str | None = None,
    metrics: Sequence[str] | None = None,
    console: Console | None = None,
    columns: FileColumns = NO_COLUMNS,
) -> None:
    """Print a study's comparison table, write it beside the study, and say what could not be read."""
    console = console or terminal.console()
    study, metrics = open_study(study_name, runs_dir, columns, metrics)
    factor = factor_under_test(study, factor)
    table = comparison_table(study, factor=factor, control=control, metrics=metrics)
    print_table(table, console)
    rates = rates_table(study, factor)
    print_rates(rates, console)
    terminal.say(console, f"{counted(len(study.trials))}: {status_counts(study)}")
    with writing(study.folder, console):
        terminal.say_written(console, write_tables(table, study.folder))
        terminal.say_written(console, [write(study.folder / "rates.csv", csv_text(rates))])
    terminal.say_problems(console, study.problems)
