"""The comparison table as files: CSV in full precision; Markdown, LaTeX and HTML with rounded numbers.

The better of two means is bold where the 95% interval excludes no effect.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from markupsafe import escape

from skiplab.analysis.output_files import write
from skiplab.analysis.tables.comparison_table import ComparisonTable
from skiplab.analysis.tables.table_text import better_means, caption, headings, num_text_columns, text_rows
from skiplab.analysis.text import latex, markdown
from skiplab.printable import printable
from skiplab.records.spreadsheet import csv_text


class _Format(NamedTuple):
    """How a format writes text, bold text, and one metric's table, given its name, caption, grid and text columns."""

    escape: Callable[[str], str]
    bold: Callable[[str], str]
    table: Callable[[str, str, pd.DataFrame, int], str]


def write_tables(table: ComparisonTable, folder: Path) -> list[Path]:
    """Write table.csv, table.md, table.tex (needs the package booktabs) and table.html; returns their paths."""
    title = f"{table.study}: {table.factor}"
    texts = {"csv": csv_text(table.frame), "md": f"# {markdown(title)}\n\n", "tex": "", "html": ""}
    for ending, form in _FORMATS.items():
        texts[ending] += "\n".join(_tables(table, form)) or "No trials to compare yet.\n"
    return [write(folder / f"table.{ending}", text) for ending, text in texts.items()]


def _tables(table: ComparisonTable, form: _Format) -> list[str]:
    """A table for each metric."""
    found = []
    for name, part in table.by_metric().items():
        rows = [[form.escape(entry) for entry in row] for row in text_rows(part)]
        for row, better in zip(rows, better_means(part), strict=True):
            if better is not None:
                row[better] = form.bold(row[better])
        grid = pd.DataFrame([[form.escape(entry) for entry in headings(part)], *rows], dtype=object)
        found.append(form.table(form.escape(name), form.escape(caption(part)), grid, num_text_columns(part)))
    return found


def _markdown(name: str, caption: str, grid: pd.DataFrame, num_texts: int) -> str:
    head, *rows = grid.values.tolist()
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join([f"## {name}\n\n{caption}\n", *(f"| {' | '.join(line)} |" for line in lines), ""])


def _latex(name: str, caption: str, grid: pd.DataFrame, num_texts: int) -> str:
    columns = "l" * num_texts + "r" * (grid.shape[1] - num_texts - 1) + "l"
    named = grid[1:].set_axis(grid.loc[0], axis="columns")
    return named.to_latex(index=False, column_format=columns, caption=f"{name}: {caption}", escape=False)


def _html(name: str, caption: str, grid: pd.DataFrame, num_texts: int) -> str:
    table = grid[1:].to_html(index=False, header=False, escape=False, border=0)
    head = "".join(f"<th>{entry}</th>" for entry in grid.loc[0])
    head_with_caption = f"<caption>{name}: {caption}</caption>\n  <thead><tr>{head}</tr></thead>\n  <tbody>"
    return table.replace("<tbody>", head_with_caption, 1) + "\n"


_FORMATS = {
    "md": _Format(markdown, "**{}**".format, _markdown),
    "tex": _Format(latex, r"\textbf{{{}}}".format, _latex),
    "html": _Format(lambda text: str(escape(printable(text))), "<b>{}</b>".format, _html),
}
