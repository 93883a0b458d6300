"""The comparison table as text, and in the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skiplab.analysis import terminal
from skiplab.analysis.frames import column
from skiplab.analysis.study.arms import DEFAULT_FACTOR
from skiplab.analysis.tables.comparison_table import ComparisonTable
from skiplab.analysis.tables.rates_table import rate_headings, rate_rows
from skiplab.analysis.text import SizeKind, cell_text, level_text, number, ratio, size_interval_text, size_text
from skiplab.printable import printable

_BETWEEN = 2  # characters between two columns
_UNBROKEN = 28  # characters of an arm or a level that a narrow terminal must not break


def headings(table: ComparisonTable) -> list[str]:
    """The headings of one metric's table; a single treatment is the heading of its mean."""
    cell = table.cell_factors
    if table.has_one_arm:
        return [*cell, "arm", "mean", "95% interval", "n", "notes"]
    first = table.frame.iloc[0]
    effects = [first["effect_kind"], "95%, paired", "95%, Welch", "r", "n", "notes"]
    if table.has_several_treatments:
        return [*cell, "arm", first["control"], "its mean", *effects]
    return [*cell, first["control"], first["treatment"], *effects]


def num_text_columns(table: ComparisonTable) -> int:
    """How many of one metric's first columns hold text: the cell, and the arm where rows name theirs."""
    return len(table.cell_factors) + (table.has_one_arm or table.has_several_treatments)


def text_rows(table: ComparisonTable) -> list[list[str]]:
    """The rows of one metric as text; numbers are rounded by their uncertainty."""
    return [_text_row(row, table) for row in table.rows]


def caption(table: ComparisonTable) -> str:
    """What the rows of one metric show: its label, which values are better, and the losses of simple predictors."""
    first = table.frame.iloc[0]
    better = "" if first["better"] == "neither" else f", {first['better']} is better"
    if first["metric"] == "loss_val":
        baselines = [
            f"{label} {_range(column(table.frame, name))}"
            for name, label in (("loss_zero", "zero predictor"), ("loss_affine", "best affine predictor"))
            if name in table.frame
        ]
        better += f"; {', '.join(baselines)}" if baselines else ""
    return f"{first['label']}{better}"


def print_table(table: ComparisonTable, console: Console | None = None) -> None:
    """Print the table; it fits 100 columns."""
    console = console or terminal.console()
    if table.frame.empty:
        console.print("no trial has a number to compare yet", markup=False)
        return
    if table.factor != DEFAULT_FACTOR:
        console.print(f"factor under test: {printable(table.factor)}", markup=False, highlight=False)
    if table.has_one_arm:
        only = printable(table.frame["treatment"].iloc[0])
        console.print(f"only one arm, {only}: its means, nothing to compare", markup=False, highlight=False)
    for name, part in table.by_metric.items():
        console.print(Text.assemble((f"\n{printable(name)}", "bold"), f"  {printable(caption(part))}"))
        rows = [row[:-1] for row in text_rows(part)]
        console.print(_rich_table(headings(part)[:-1], rows, num_text_columns(part), better_means(part), console.width))
        for note in _footnotes(part):
            console.print(Text(f"  {printable(note)}", style="dim"))


def table_text(table: ComparisonTable) -> str:
    """What `print_table` prints, without styles."""
    return terminal.plain_text(lambda console: print_table(table, console))


def print_rates(rates: pd.DataFrame, console: Console) -> None:
    """Print how often arms diverge and collapse, for the arms in which any trial did."""
    happened = rates.loc[(rates["diverged"] > 0) | (rates["collapsed"] > 0)]
    if happened.empty:
        return
    console.print(
        Text.assemble(
            ("\nrates", "bold"), "  trials that diverged or collapsed (learned next to nothing); other arms had none"
        )
    )
    names, rows = rate_headings(happened), rate_rows(happened)
    console.print(_rich_table(names, rows, len(names) - 2, [None] * len(rows), console.width))


def better_means(table: ComparisonTable) -> list[int | None]:
    """For each row of one metric the column of the better mean; None where the 95% interval includes no effect."""
    if table.has_one_arm:
        return [None] * len(table.frame)
    control = num_text_columns(table)
    sides = map(_better_side, table.rows)
    return [None if side is None else control + side for side in sides]


def _better_side(row: Mapping[str, Any]) -> int | None:
    """0 for the control, 1 for the treatment, None where neither is known to be better."""
    no_effect = 1.0 if row["effect_kind"] == "ratio" else 0.0
    if row["better"] == "neither" or not (row["low"] > no_effect or row["high"] < no_effect):
        return None
    return int((row["low"] > no_effect) == (row["better"] == "higher"))


def _text_row(row: Mapping[str, Any], table: ComparisonTable) -> list[str]:
    cell = [level_text(row[name]) for name in table.cell_factors]
    kind: SizeKind = "ratio" if row["scale"] == "log" else "difference"
    interval = size_interval_text(row["low"], row["high"], kind)
    if table.has_one_arm:
        return [*cell, row["treatment"], _rounded(row, row["treatment_mean"]), interval, str(row["n"]), row["notes"]]
    has_collapsed = row["control_collapsed"] or row["treatment_collapsed"]
    return [
        *cell,
        *([row["treatment"]] if table.has_several_treatments else []),
        number(row["control_mean"]),
        number(row["treatment_mean"]),
        "collapsed" if has_collapsed else size_text(row["effect"], row["low"], row["high"], kind),
        interval if row["paired"] else "–",
        size_interval_text(row["welch_low"], row["welch_high"], kind),
        number(row["correlation"], 0.1),
        str(row["n"]),
        row["notes"],
    ]


def _rounded(row: Mapping[str, Any], value: float) -> str:
    """The value to two digits of the row's uncertainty."""
    if row["scale"] == "log":
        return ratio(value, row["low"], row["high"])
    return number(value, (row["high"] - row["low"]) / 2)


def _range(values: pd.Series) -> str:
    low, high = number(values.min()), number(values.max())
    return low if low == high else f"{low} to {high}"


def _rich_table(
    names: Sequence[str], rows: Sequence[Sequence[str]], num_texts: int, bold: Sequence[int | None], room: int
) -> Table:
    """A table for so many columns of a terminal. Where it fits, rich needn't measure what each cell needs."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    shown = [[printable(entry) for entry in entries] for entries in (names, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    fits = sum(widths) + _BETWEEN * (len(widths) - 1) <= room
    for position, (name, width) in enumerate(zip(shown[0], widths, strict=True)):
        right = position >= num_texts
        least = None if right else min(width, _UNBROKEN)
        justify = "right" if right else "left"
        own = width if fits else None
        table.add_column(Text(name), justify=justify, overflow="fold", min_width=least, width=own)
    for row, bold_column in zip(shown[1:], bold, strict=True):
        styles = ["bold" if column == bold_column else "" for column in range(len(row))]
        table.add_row(*(Text(entry, style=style) for entry, style in zip(row, styles, strict=True)))
    return table


def _footnotes(table: ComparisonTable) -> list[str]:
    """The rows' notes, each with its cell."""
    notes = []
    for row in table.rows:
        if row["notes"]:
            arm = f", {row['treatment']}" if table.has_several_treatments else ""
            notes.append(f"{cell_text({name: row[name] for name in table.cell_factors})}{arm}: {row['notes']}")
    return notes
