"""The comparison table as text, and in the terminal."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from skiplab.analysis.claims.failures import rate_headings, rate_rows
from skiplab.analysis.study.arms import DEFAULT_FACTOR
from skiplab.analysis.tables import terminal
from skiplab.analysis.text import cell_text, level_text, number, ratio, size_interval_text, size_text
from skiplab.printable import printable

_UNBROKEN = 28  # characters of an arm or a level that a narrow terminal must not break


def headings(table: pd.DataFrame) -> list[str]:
    """The columns of the table as text; a single treatment is named at the head of its column."""
    cell = list(table.attrs["cell_factors"])
    if _one_arm(table):
        return [*cell, "arm", "mean", "95% interval", "n", "notes"]
    treatments = table["treatment"].unique()
    arm = [str(treatments[0])] if len(treatments) == 1 else ["arm", "its mean"]
    control = table["control"].iloc[0]
    return [*cell, *arm[:-1], control, arm[-1], _kind(table), "95%, paired", "95%, Welch", "r", "n", "notes"]


def text_rows(table: pd.DataFrame) -> list[list[str]]:
    """The rows of one metric, numbers rounded by their uncertainty."""
    return [_text_row(row, table) for row in table.to_dict("records")]


def caption(table: pd.DataFrame) -> str:
    """What the rows of one metric show: its label, which values are better, and the values of no network."""
    first = table.iloc[0]
    better = "" if first["better"] == "neither" else f", {first['better']} is better"
    if first["metric"] == "loss_val":
        found = [
            f"{words} {_range(table[name])}"
            for name, words in (("loss_zero", "zero predictor"), ("loss_affine", "best affine predictor"))
            if name in table
        ]
        better += f"; {', '.join(found)}" if found else ""
    return f"{first['label']}{better}"


def by_metric(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The table in parts, one a metric, in order."""
    if table.empty:
        return []
    parts = []
    for name in table["metric"].drop_duplicates():
        part = table[table["metric"] == name].copy()
        part.attrs = table.attrs
        parts.append((name, part))
    return parts


def print_table(table: pd.DataFrame, console: Console | None = None) -> None:
    """Print the table; it fits 100 columns."""
    console = console or terminal.console()
    if table.empty:
        console.print("no trial has a number to compare yet", markup=False)
        return
    if table.attrs["factor"] != DEFAULT_FACTOR:
        console.print(f"factor under test: {printable(table.attrs['factor'])}", markup=False, highlight=False)
    if _one_arm(table):
        only = printable(table["treatment"].iloc[0])
        console.print(f"only one arm, {only}: its means, nothing to compare", markup=False, highlight=False)
    for name, part in by_metric(table):
        console.print(Text.assemble((f"\n{printable(name)}", "bold"), f"  {printable(caption(part))}"))
        num_texts = len(table.attrs["cell_factors"]) + ("arm" in headings(part))
        rows = [row[:-1] for row in text_rows(part)]
        console.print(_rich_table(headings(part)[:-1], rows, num_texts, better_means(part)))
        for note in _footnotes(part):
            console.print(Text(f"  {printable(note)}", style="dim"))


def print_rates(rates: pd.DataFrame, console: Console) -> None:
    """Print how often arms diverge and collapse, where any did."""
    happened = rates[(rates["diverged"] > 0) | (rates["collapsed"] > 0)]
    if happened.empty:
        return
    console.print(
        Text.assemble(("\nrates", "bold"), "  trials that diverged, or learnt next to nothing; others had none")
    )
    names, rows = rate_headings(happened), rate_rows(happened)
    console.print(_rich_table(names, rows, len(names) - 2, [None] * len(rows)))


def better_means(table: pd.DataFrame) -> list[int | None]:
    """For each row the column of the better mean, where the 95% interval of the effect has one side only."""
    if _one_arm(table):
        return [None] * len(table)
    control = len(table.attrs["cell_factors"]) + (table["treatment"].nunique() > 1)
    return [None if side is None else control + side for side in map(_better_side, table.to_dict("records"))]


def _better_side(row: dict[str, Any]) -> int | None:
    """0 for the control, 1 for the treatment, None where neither is known to be better."""
    nothing = 1.0 if row["effect_kind"] == "ratio" else 0.0
    if row["better"] == "neither" or not (row["low"] > nothing or row["high"] < nothing):
        return None
    return int((row["low"] > nothing) == (row["better"] == "higher"))


def _one_arm(table: pd.DataFrame) -> bool:
    return bool((table["control"] == "").all())


def _kind(table: pd.DataFrame) -> str:
    return str(table["effect_kind"].iloc[0])


def _text_row(row: dict[str, Any], table: pd.DataFrame) -> list[str]:
    cell = [level_text(row[name]) for name in table.attrs["cell_factors"]]
    interval = size_interval_text(row["low"], row["high"], "ratio" if row["scale"] == "log" else "difference")
    if _one_arm(table):
        return [
            *cell,
            row["treatment"],
            _rounded(row, row["treatment_mean"]),
            interval,
            str(row["n"]),
            row["notes"],
        ]
    sized = not (row["control_failed"] or row["treatment_failed"])
    return [
        *cell,
        *([row["treatment"]] if table["treatment"].nunique() > 1 else []),
        number(row["control_mean"]),
        number(row["treatment_mean"]),
        size_text(row["effect"], row["low"], row["high"], _kind(table)) if sized else "failed",
        interval,
        size_interval_text(row["welch_low"], row["welch_high"], _kind(table)),
        number(row["correlation"], 0.1),
        str(row["n"]),
        row["notes"],
    ]


def _rounded(row: dict[str, Any], value: float) -> str:
    """The value to two digits of the row's uncertainty."""
    if row["scale"] == "log":
        return ratio(value, row["low"], row["high"])
    return number(value, (row["high"] - row["low"]) / 2)


def _range(values: pd.Series) -> str:
    low, high = number(values.min()), number(values.max())
    return low if low == high else f"{low} to {high}"


def _rich_table(
    names: Sequence[str], rows: Sequence[Sequence[str]], num_texts: int, bold: Sequence[int | None]
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for position, name in enumerate(names):
        right = position >= num_texts
        longest = max(len(printable(entries[position])) for entries in [names, *rows])
        least = None if right else min(longest, _UNBROKEN)
        justify = "right" if right else "left"
        table.add_column(Text(printable(name)), justify=justify, overflow="fold", min_width=least)
    for row, marked in zip(rows, bold, strict=True):
        table.add_row(*(Text(printable(row[at]), style="bold" if at == marked else "") for at in range(len(row))))
    return table


def _footnotes(table: pd.DataFrame) -> list[str]:
    """The rows' notes, each with its cell."""
    cell = table.attrs["cell_factors"]
    several = table["treatment"].nunique() > 1
    found = []
    for row in table.to_dict("records"):
        if row["notes"]:
            arm = f", {row['treatment']}" if several else ""
            found.append(f"{cell_text({name: row[name] for name in cell})}{arm}: {row['notes']}")
    return found
