"""The claims of the page: a sentence and a badge for each, and behind it the tests and the evidence."""

from collections.abc import Sequence
from typing import Any

from skiplab.analysis.claims.next_step import next_step
from skiplab.analysis.claims.verdict_sentence import verdict_sentence
from skiplab.analysis.claims.verdict_text import (
    cell_line,
    conclusion_text,
    contrast_text,
    own_caveats,
    part_text,
    shared_caveats,
)
from skiplab.analysis.claims.verdicts import Verdict
from skiplab.analysis.figures.forest_figure import FOREST_CAPTION, forest_figure
from skiplab.analysis.page.page_figures import PageFigures
from skiplab.analysis.study.filters import Filters


def page_verdicts(verdicts: Sequence[Verdict], filters: Filters, drawing: PageFigures) -> list[dict[str, Any]]:
    """What the page says of each claim."""
    said = shared_caveats(verdicts) if verdicts else []
    return [_verdict(verdict, said, filters, drawing) for verdict in verdicts]


def _verdict(verdict: Verdict, said: Sequence[str], filters: Filters, drawing: PageFigures) -> dict[str, Any]:
    return {
        "name": verdict.claim.name,
        "text": verdict.claim.text,
        "source": verdict.claim.source,
        "tested_part": verdict.claim.tested_part,
        "badge": conclusion_text(verdict),
        "caveats": ", ".join(own_caveats(verdict, said)),
        "sentence": verdict_sentence(verdict),
        "next": next_step(verdict, quote="`"),
        "class": verdict.conclusion.replace(" ", "-"),
        "forest": _forest(verdict, drawing),
        "parts": [_part(verdict, number, filters) for number in range(len(verdict.claim.parts)) if verdict.cells],
        "evidence": [
            (filters.tags(item.cell), contrast_text(item), cell_line(item), item in verdict.contested_by)
            for item in verdict.evidence
        ],
    }


def _part(verdict: Verdict, number: int, filters: Filters) -> dict[str, Any]:
    """One part of a claim in each cell; `says` is empty if it is the only one."""
    cells = [cell.parts[number] for cell in verdict.cells]
    return {
        "says": cells[0].test.says if len(verdict.claim.parts) > 1 else "",
        "contrast": part_text(cells),
        "lines": [(filters.tags(cell.cell), cell_line(cell)) for cell in cells],
    }


def _forest(verdict: Verdict, drawing: PageFigures) -> dict[str, Any] | None:
    """The effects of a claim in its cells; None if it has no cell in this study."""
    return drawing.figure("Effects", FOREST_CAPTION, forest_figure([verdict])) if verdict.cells else None
