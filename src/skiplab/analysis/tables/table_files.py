"""The comparison table as files: CSV in full precision; Markdown, LaTeX and HTML with rounded numbers.

The better of two means is bold where the 95% interval excludes no effect.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import escape

from skiplab.analysis.output_files import write
from skiplab.analysis.tables.comparison_table import ComparisonTable
from skiplab.analysis.tables.table_text import better_means, caption, headings, num_text_columns, text_rows
from skiplab.analysis.text import latex, markdown
from skiplab.printable import printable
from skiplab.records.spreadsheet import csv_text


class _Format(NamedTuple):
    """How a format writes text, bold text, and one metric's table of a name, caption, head, rows and text columns.

    By hand, because pandas would load a template engine and take longer than the comparison.
    """

    escape: Callable[[str], str]
    bold: Callable[[str], str]
    table: Callable[[str, str, Sequence[str], Sequence[Sequence[str]], int], str]


class _Part(NamedTuple):
    """One metric's table as text. better: the column of each row's better mean; None where neither is known to be."""

    name: str
    caption: str
    head: list[str]
    rows: list[list[str]]
    better: list[int | None]
    num_texts: int


def write_tables(table: ComparisonTable, folder: Path) -> list[Path]:
    """Write table.csv, table.md, table.tex (needs the package booktabs) and table.html; returns their paths."""
    title = f"{table.study}: {table.factor}"
    texts = {"csv": csv_text(table.frame), "md": f"# {markdown(title)}\n\n", "tex": "", "html": ""}
    parts = _parts(table)
    for ending, form in _FORMATS.items():
        texts[ending] += _tables(parts, form)
    return [write(folder / f"table.{ending}", text) for ending, text in texts.items()]


def table_html(table: ComparisonTable) -> str:
    """What write_tables writes to table.html."""
    return _tables(_parts(table), _FORMATS["html"])


def _parts(table: ComparisonTable) -> list[_Part]:
    return [
        _Part(name, caption(part), headings(part), text_rows(part), better_means(part), num_text_columns(part))
        for name, part in table.by_metric.items()
    ]


def _tables(parts: Sequence[_Part], form: _Format) -> str:
    return "\n".join(_table(part, form) for part in parts) or "No trials to compare yet.\n"


def _table(part: _Part, form: _Format) -> str:
    rows = [[form.escape(entry) for entry in row] for row in part.rows]
    for row, better in zip(rows, part.better, strict=True):
        if better is not None:
            row[better] = form.bold(row[better])
    head = [form.escape(entry) for entry in part.head]
    return form.table(form.escape(part.name), form.escape(part.caption), head, rows, part.num_texts)


def _markdown(name: str, caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], num_texts: int) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join([f"## {name}\n\n{caption}\n", *(f"| {' | '.join(line)} |" for line in lines), ""])


def _latex(name: str, caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], num_texts: int) -> str:
    columns = "l" * num_texts + "r" * (len(head) - num_texts - 1) + "l"
    lines = [rf"{' & '.join(line)} \\" for line in (head, *rows)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{name}: {caption}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _html(name: str, caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], num_texts: int) -> str:
    lines = ["".join(f"<td>{entry}</td>" for entry in row) for row in rows]
    return "\n".join(
        [
            f"<table>\n  <caption>{name}: {caption}</caption>",
            f"  <thead><tr>{''.join(f'<th>{entry}</th>' for entry in head)}</tr></thead>\n  <tbody>",
            *(f"    <tr>{line}</tr>" for line in lines),
            "  </tbody>\n</table>\n",
        ]
    )


_FORMATS = {
    "md": _Format(markdown, "**{}**".format, _markdown),
    "tex": _Format(latex, r"\textbf{{{}}}".format, _latex),
    "html": _Format(lambda text: str(escape(printable(text))), "<b>{}</b>".format, _html),
}
