"""Verdicts in words: the same ones in the terminal and on the page."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from skiplab.analysis.claims.verdicts import CellVerdict, Verdict
from skiplab.analysis.statistics.statistics import MOST_SEEDS, Interval, paired_interval
from skiplab.analysis.text import cell_text, level_text, number, size_interval_text, size_text
from skiplab.metrics import Metric
from skiplab.printable import printable

_COLOURS = {
    "supported": "green",
    "contradicted": "red",
    "no meaningful difference": "cyan",
    "mixed": "magenta",
    "inconclusive": "yellow",
}


class CellLine(NamedTuple):
    """A cell of a verdict as text; `effect` holds no size where an arm has failed.

    effect_size: Hedges' g.  improvement: the probability that a seed of one arm exceeds one of the other, as claimed.
    """

    cell: str
    word: str
    effect: str
    interval: str
    n: str
    welch: str
    correlation: str
    effect_size: str
    improvement: str
    notes: tuple[str, ...]


def headline(verdict: Verdict) -> str:
    """The verdict in one line: its word, in how many cells, its marks, and how much evidence is against the claim."""
    total = len(verdict.cells)
    counted = f" in {verdict.num_supported} of {total} cells" if verdict.word.startswith("supported") else ""
    if verdict.word.startswith("mixed"):
        counted = f", {verdict.num_supported} of {total} supported"
    marks = f" ({', '.join(verdict.marks)})" if verdict.marks else ""
    against = sum(item.word == "contradicted" for item in verdict.evidence)
    evidence = f"; evidence contradicts it in {against} of {len(verdict.evidence)} cells" if against else ""
    return f"{verdict.word}{counted}{marks}{evidence}"


def asked(test_of: CellVerdict) -> str:
    """What a test compares, in one line."""
    contrast, metric = test_of.test.contrast, test_of.paired.metric
    arms = f"{contrast.treatment} over {contrast.control}"
    what = {
        "difference": arms,
        "slope": f"{contrast.treatment}, change per doubling of {contrast.over}",
        "rate": f"{contrast.treatment}, change per unit of {contrast.over}",
        "interaction": f"{arms}, change per doubling of {contrast.over}",
        "change": f"{arms}, change {_from_to(test_of)}",
    }[contrast.kind]
    margin = test_of.test.margin
    least = f"×{_exp(margin):.4g}" if metric.scale == "log" else f"{margin:.4g}"
    if contrast.direction == "equal":
        expected = f"×{_exp(contrast.expected):.4g}" if metric.scale == "log" else f"{contrast.expected:.4g}"
        return f"{metric.label}: {what}; claimed equal to {expected}, within {least}"
    return f"{metric.label}: {what}; claimed {contrast.direction}, smallest effect that counts {least}"


def cell_line(cell: CellVerdict) -> CellLine:
    """One cell as text."""
    notes = list(cell.notes)
    if cell.paired.contrast.kind in ("interaction", "change") and not cell.paired.missing:
        notes.insert(0, _own_changes(cell))
    if cell.paired.contrast.direction == "equal" and not cell.paired.missing:
        notes.insert(0, _against_expected(cell))
    if cell.failed:
        notes.append(f"failed: {', '.join(cell.failed)}")
    if cell.word == "inconclusive":
        notes += [_holm_text(cell), seeds_text(cell)]
    sized = not (cell.failed and cell.test.contrast.kind == "difference")
    metric, interval = cell.paired.metric, cell.interval
    return CellLine(
        cell=cell_text(cell.cell),
        word=cell.word,
        effect=effect_text(metric, interval) if sized else "failed",
        interval=effect_interval_text(metric, interval) if sized else "–",
        n=str(interval.n),
        welch=effect_interval_text(metric, cell.welch) if sized else "–",
        correlation=number(cell.correlation, 0.1),
        effect_size=number(cell.effect_size),
        improvement=number(cell.probability_of_improvement, 0.1),
        notes=tuple(note for note in notes if note),
    )


def effect_text(metric: Metric, interval: Interval) -> str:
    """An advantage as a reader wants it: a signed difference, or '×1.3' on a log scale."""
    return size_text(*_reported(metric, interval), _kind(metric))


def effect_interval_text(metric: Metric, interval: Interval) -> str:
    """The interval of an advantage on the same scale."""
    return size_interval_text(*_reported(metric, interval)[1:], _kind(metric))


def _reported(metric: Metric, interval: Interval) -> tuple[float, float, float]:
    """The mean and both ends, of a log metric as ratios."""
    unscaled = _exp if metric.scale == "log" else float
    return unscaled(interval.mean), unscaled(interval.low), unscaled(interval.high)


def _kind(metric: Metric) -> str:
    return "ratio" if metric.scale == "log" else "difference"


def seeds_text(cell: CellVerdict) -> str:
    """How many seeds would decide an inconclusive cell."""
    if cell.seeds is None:
        return ""
    low, high = cell.seeds
    if low is None:
        return f"no number of seeds up to {MOST_SEEDS} would decide at this mean"
    upper = f"to {high}" if high is not None else f"to more than {MOST_SEEDS}"
    seeds = str(low) if low == high else f"{low} {upper}"
    return f"{seeds} seeds would decide"


def render_verdicts(verdicts: Sequence[Verdict]) -> RenderableType:
    """All verdicts for a terminal of 80 columns or more."""
    if not verdicts:
        return Text("no claims to judge")
    parts: list[RenderableType] = []
    if verdicts[0].question:
        parts.append(Text(printable(verdicts[0].question), style="bold"))
    for verdict in verdicts:
        parts += [Text(""), *_claim_texts(verdict), _cells_table(verdict.cells), *_cell_notes(verdict.cells)]
        parts += [_indented(line) for line in _evidence_lines(verdict)]
        for item in verdict.contested_by:
            line = cell_line(item)
            found = f"{line.cell}: {line.word}, {line.effect} {line.interval}, n {line.n}"
            words = f"contested: {asked(item)}; {found}"
            parts.append(_indented(Text(printable(words), style="red")))
    parts += [Text(""), Text(f"claims file sha256 {verdicts[0].claims_sha256[:12]}", style="dim")]
    return Group(*parts)


def _evidence_lines(verdict: Verdict) -> list[Text]:
    """What each further measurement says, cell by cell; what tells its cells apart is named."""
    found = []
    for test in verdict.claim.evidence:
        judged = [item for item in verdict.evidence if item.test == test]
        line = Text(f"evidence, {printable(judged[0].paired.metric.label)}: ")
        for position, item in enumerate(judged):
            told_apart = {
                name: level for name, level in item.cell.items() if any(o.cell[name] != level for o in judged)
            }
            where = f"{cell_text(told_apart)} " if told_apart else ""
            line.append(f"{'; ' if position else ''}{printable(where)}")
            line.append(item.word, style=_COLOURS.get(item.word, "default"))
            effect = cell_line(item).effect
            line.append(f" ({', '.join(item.failed)} failed)" if effect == "failed" else f" {effect}")
        found.append(line)
    return found


def _claim_texts(verdict: Verdict) -> list[RenderableType]:
    style = f"bold {_COLOURS.get(verdict.word.split(',')[0], 'default')}"
    lines = [
        Text(f"{printable(verdict.claim.name)}: {printable(verdict.claim.text)}"),
        _indented(Text(printable(headline(verdict)), style=style)),
    ]
    if verdict.claim.tested_part:
        lines.append(_indented(Text(f"tested part: {printable(verdict.claim.tested_part)}")))
    if verdict.cells:
        lines.append(_indented(Text(printable(asked(verdict.cells[0])), style="dim")))
    return lines


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
        row = [f"  {line.cell}", line.word, line.effect, line.interval, line.n]
        styles = ["", _COLOURS.get(line.word, "default"), "", "", ""]
        table.add_row(*(Text(printable(text), style=style) for text, style in zip(row, styles, strict=True)))
    return table


def _cell_notes(cells: Sequence[CellVerdict]) -> list[RenderableType]:
    """What has to be known of each cell, a paragraph each, below the table."""
    lines = [cell_line(cell) for cell in cells]
    return [
        _indented(Text(printable(f"{line.cell}: {'; '.join(line.notes)}"), style="dim")) for line in lines if line.notes
    ]


def _holm_text(cell: CellVerdict) -> str:
    """Why a cell is undecided although its interval lies beyond the smallest effect."""
    margin, interval = cell.test.margin, cell.interval
    beyond = {cell.p_supported: interval.low > margin, cell.p_contradicted: interval.high < -margin}
    p = next((p for p, is_beyond in beyond.items() if is_beyond), None)
    return (
        ""
        if p is None or cell.paired.on_survivors
        else f"Holm-adjusted one-sided p {p:.2g} is above {cell.look.alpha:.2g}"
    )


def _own_changes(cell: CellVerdict) -> str:
    """Each arm's own change, per doubling or from the lowest level to the highest."""
    found = []
    for arm, change in (
        (cell.test.contrast.control, cell.paired.control),
        (cell.test.contrast.treatment, cell.paired.treatment),
    ):
        found.append(f"{arm} {effect_text(cell.paired.metric, paired_interval(change))}")
    return f"{', '.join(found)} {_from_to(cell) if cell.test.contrast.kind == 'change' else 'per doubling'}"


def _against_expected(cell: CellVerdict) -> str:
    """The slope or rate itself, of which the advantage is what there is above the expected one."""
    metric, own = cell.paired.metric, paired_interval(cell.paired.treatment)
    per = "doubling" if cell.test.contrast.kind == "slope" else "unit"
    interval = effect_interval_text(metric, own)
    return (
        f"{cell.test.contrast.treatment} {effect_text(metric, own)} {interval} per {per} of {cell.test.contrast.over}"
    )


def _from_to(cell: CellVerdict) -> str:
    """The levels between which a change lies, 'from frozen_fraction 0 to 0.5'."""
    over = cell.test.contrast.over
    if len(cell.paired.levels) != 2:
        return f"from the lowest {over} to the highest"
    lowest, highest = (level_text(float(level)) for level in cell.paired.levels)
    return f"from {over} {lowest} to {highest}"


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
