"""Verdicts in the terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from skiplab.analysis.claims.cell_verdicts import CellVerdict
from skiplab.analysis.claims.next_step import next_step
from skiplab.analysis.claims.verdict_sentence import verdict_sentence
from skiplab.analysis.claims.verdict_text import (
    badge,
    cell_line,
    contrast_text,
    part_text,
    qualifiers,
    shared_caveats,
)
from skiplab.analysis.claims.verdicts import Verdict
from skiplab.analysis.text import cell_text
from skiplab.printable import printable

_COLORS = {
    "supported": "green",
    "contradicted": "red",
    "no meaningful difference": "cyan",
    "mixed": "magenta",
    "inconclusive": "yellow",
}


def render_verdicts(verdicts: Sequence[Verdict], *, details: bool = False) -> RenderableType:
    """All verdicts for a terminal of 80 columns or more: a sentence for each, and what would decide it.

    Args:
        verdicts: what is shown.
        details: whether each sentence is followed by its tests, cell by cell, and by its evidence.
    """
    if not verdicts:
        return Text("no claims to judge")
    parts: list[RenderableType] = []
    if verdicts[0].question:
        parts.append(Text(printable(verdicts[0].question), style="bold"))
    if said := qualifiers(verdicts):
        parts.append(Text(printable(said), style="dim"))
    for verdict in verdicts:
        parts += [Text(""), *_claim_texts(verdict, shared_caveats(verdicts))]
        if details:
            parts += _details(verdict)
    if sha256 := verdicts[0].claims_sha256:
        parts += [Text(""), Text(f"claims file sha256 {sha256[:12]}", style="dim")]
    return Group(*parts)


def _claim_texts(verdict: Verdict, said: Sequence[str]) -> list[RenderableType]:
    """The claim, its verdict, the sentence that says why, and what would decide it."""
    style = f"bold {_COLORS.get(verdict.conclusion, 'default')}"
    lines: list[RenderableType] = [
        Text(f"{printable(verdict.claim.name)}: {printable(verdict.claim.text)}"),
        _indented(Text(printable(badge(verdict, said)), style=style)),
        _indented(Text(printable(verdict_sentence(verdict)))),
    ]
    if step := next_step(verdict):
        lines.append(_indented(Text(printable(step), style="dim")))
    return lines


def _details(verdict: Verdict) -> list[RenderableType]:
    """The tests of a claim in each cell, and its evidence."""
    parts: list[RenderableType] = []
    if verdict.claim.tested_part:
        parts.append(_indented(Text(f"tested part: {printable(verdict.claim.tested_part)}")))
    if len(verdict.claim.parts) > 1 and len(verdict.cells) > 1:
        cells = "; ".join(f"{cell_text(cell.cell)} {cell.conclusion}" for cell in verdict.cells)
        parts.append(_indented(Text(f"all parts together: {printable(cells)}")))
    for number in range(len(verdict.claim.parts)):
        parts += _part_texts(verdict, number)
    parts += [_indented(line) for line in _evidence_lines(verdict)]
    for item in verdict.contested_by:
        line = cell_line(item)
        result = f"{line.cell}: {line.conclusion}, {line.effect} {line.interval}, n {line.n}"
        text = f"contested: {contrast_text(item)}; {result}"
        parts.append(_indented(Text(printable(text), style="red")))
    return parts


def _evidence_lines(verdict: Verdict) -> list[Text]:
    """What each further test says in each cell; a cell is named by the levels in which it differs from others."""
    found = []
    for test in verdict.claim.evidence:
        judged = [item for item in verdict.evidence if item.claimed == test]
        line = Text(f"evidence, {printable(judged[0].paired.metric.label)}: ")
        for position, item in enumerate(judged):
            differing = {name: level for name, level in item.cell.items() if any(o.cell[name] != level for o in judged)}
            where = f"{cell_text(differing)} " if differing else ""
            line.append(f"{'; ' if position else ''}{printable(where)}")
            line.append(item.conclusion, style=_COLORS.get(item.conclusion, "default"))
            effect = cell_line(item).effect
            line.append(f" ({', '.join(item.collapsed)} collapsed)" if not item.has_size else f" {effect}")
        found.append(line)
    return found


def _part_texts(verdict: Verdict, number: int) -> list[RenderableType]:
    """One part of a claim: what it says if there are others, what it compares, and its cells."""
    cells = [cell.parts[number] for cell in verdict.cells]
    if not cells:
        return []
    heading = [Text(f"part {number + 1}, “{cells[0].test.says}”:")] if len(verdict.claim.parts) > 1 else []
    compared = Text(printable(part_text(cells)), style="dim")
    return [*map(_indented, [*heading, compared]), _cells_table(cells), *_cell_notes(cells)]


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))


def _cells_table(cells: Sequence[CellVerdict]) -> Table:
    lines = [cell_line(cell) for cell in cells]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("  cell", no_wrap=max(len(line.cell) for line in lines) <= 32)
    table.add_column("verdict", no_wrap=True)
    for name in ("advantage", "95% interval", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        row = [f"  {line.cell}", line.conclusion, line.effect, line.interval, line.n]
        styles = ["", _COLORS.get(line.conclusion, "default"), "", "", ""]
        table.add_row(*(Text(printable(text), style=style) for text, style in zip(row, styles, strict=True)))
    return table


def _cell_notes(cells: Sequence[CellVerdict]) -> list[RenderableType]:
    """The notes on each cell, in a paragraph of its own."""
    lines = [cell_line(cell) for cell in cells]
    return [
        _indented(Text(printable(f"{line.cell}: {'; '.join(line.notes)}"), style="dim")) for line in lines if line.notes
    ]
