"""The comparison table as files: CSV in full precision; Markdown, LaTeX and HTML with rounded numbers.

The better of two means is bold where the 95% interval of the effect has one side only.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from markupsafe import escape

from skiplab.analysis.tables.table_text import better_means, by_metric, caption, headings, text_rows
from skiplab.analysis.tables.written import write
from skiplab.analysis.text import latex, markdown
from skiplab.printable import printable
from skiplab.records.spreadsheet import csv_text


class _Format(NamedTuple):
    """How a format writes text, an emphasised text, and one metric's table, given its name, caption and grid."""

    escape: Callable[[str], str]
    bold: Callable[[str], str]
    table: Callable[[str, str, pd.DataFrame, int], str]


def write_tables(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Write table.csv, table.md, table.tex (needs the package booktabs) and table.html; returns their paths."""
    title = f"{table.attrs['study']}: {table.attrs['factor']}"
    texts = {"csv": csv_text(table), "md": f"# {markdown(title)}\n\n", "tex": "", "html": ""}
    for ending, form in _FORMATS.items():
        texts[ending] += "\n".join(_tables(table, form)) or "No trials to compare yet.\n"
    return [write(folder / f"table.{ending}", text) for ending, text in texts.items()]


def _tables(table: pd.DataFrame, form: _Format) -> list[str]:
    """One a metric."""
    found = []
    for name, part in by_metric(table):
        rows = [[form.escape(entry) for entry in row] for row in text_rows(part)]
        for row, marked in zip(rows, better_means(part), strict=True):
            if marked is not None:
                row[marked] = form.bold(row[marked])
        names = headings(part)
        num_texts = len(part.attrs["cell_factors"]) + ("arm" in names)
        grid = pd.DataFrame([[form.escape(entry) for entry in names], *rows], dtype=object)
        found.append(form.table(form.escape(name), form.escape(caption(part)), grid, num_texts))
    return found


def _markdown(name: str, words: str, grid: pd.DataFrame, num_texts: int) -> str:
    head, *rows = grid.values.tolist()
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join([f"## {name}\n\n{words}\n", *(f"| {' | '.join(line)} |" for line in lines), ""])


def _latex(name: str, words: str, grid: pd.DataFrame, num_texts: int) -> str:
    columns = "l" * num_texts + "r" * (grid.shape[1] - num_texts - 1) + "l"
    named = grid[1:].set_axis(grid.loc[0], axis="columns")
    return named.to_latex(index=False, column_format=columns, caption=f"{name}: {words}", escape=False)


def _html(name: str, words: str, grid: pd.DataFrame, num_texts: int) -> str:
    table = grid[1:].to_html(index=False, header=False, escape=False, border=0)
    head = "".join(f"<th>{entry}</th>" for entry in grid.loc[0])
    caption_and_head = f"<caption>{name}: {words}</caption>\n  <thead><tr>{head}</tr></thead>\n  <tbody>"
    return table.replace("<tbody>", caption_and_head, 1) + "\n"


_FORMATS = {
    "md": _Format(markdown, "**{}**".format, _markdown),
    "tex": _Format(latex, r"\textbf{{{}}}".format, _latex),
    "html": _Format(lambda text: str(escape(printable(text))), "<b>{}</b>".format, _html),
}
