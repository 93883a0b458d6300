"""The tests of a claims file in all of their cells, with p values that are adjusted over all of them."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from skiplab.analysis.claims.cell_verdicts import (
    AdjustedP,
    CellVerdict,
    Look,
    judge_cell,
    p_contradicted,
    p_supported,
    test_in_cell,
)
from skiplab.analysis.claims.claims import Claim, Claims, Test
from skiplab.analysis.statistics.significance import holm
from skiplab.analysis.study.arms import Cell, cells
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import cell_text


class Key(NamedTuple):
    """Which test of which claim, in which cell."""

    claim: str
    test: int
    cell: str


Judged = dict[Key, CellVerdict]


def tests_in_cells(study: Study, claims: Claims, tests: Literal["parts", "evidence"]) -> dict[Key, tuple[Test, Cell]]:
    """Every test of the parts, or of the evidence, of all claims in each of its cells."""
    return {
        Key(claim.name, number, cell_text(cell)): (test, cell)
        for claim in claims.claims
        for number, test in enumerate(getattr(claim, tests))
        for cell in _cells(study, claim, test)
    }


def judge_once(study: Study, claims: Claims, tests: Literal["parts", "evidence"]) -> Judged:
    """Judge all of them with all trials."""
    look = Look()
    found = {key: test_in_cell(study, *each) for key, each in tests_in_cells(study, claims, tests).items()}
    supported, contradicted = (
        adjusted({key: p_of(each) if look.can_judge(each.paired) else 1.0 for key, each in found.items()})
        for p_of in (p_supported, p_contradicted)
    )
    return {
        key: judge_cell(each, AdjustedP(supported[key], contradicted[key], len(found)), look=look)
        for key, each in found.items()
    }


def adjusted(p: Mapping[Key, float]) -> dict[Key, float]:
    """The p values, Holm-adjusted over all tests."""
    return dict(zip(p, holm(list(p.values())), strict=True))


def _cells(study: Study, claim: Claim, test: Test) -> list[Cell]:
    contrast = test.contrast
    within = (contrast.over, *contrast.mean_over)
    wanted = {name: levels for name, levels in claim.cells.items() if name not in within}
    return cells(study, contrast.factor, within=within, wanted=wanted)
