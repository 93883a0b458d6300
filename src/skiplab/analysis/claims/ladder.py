"""What a study needs before its next look: the tests that are still open, and their trials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skiplab.analysis.claims.cell_verdicts import CellVerdict
from skiplab.analysis.claims.claims import Claims
from skiplab.analysis.claims.judging import tests_in_cells
from skiplab.analysis.claims.looks import has_reached, judge_looks, trials_of
from skiplab.analysis.frames import frame_rows
from skiplab.analysis.study.study import Study


@dataclass(frozen=True, kw_only=True)
class OpenTest:
    """A test that no look has decided yet.

    claim: the name of its claim.
    says: the words of the claim that it tests.
    verdict: at the last look that it has reached; 'too few seeds' before the first.
    next_look: the number of seeds of its next look.
    trials: the levels of the study's factors in the trials that each seed needs.
    """

    claim: str
    says: str
    verdict: CellVerdict
    next_look: int
    trials: tuple[Mapping[str, Any], ...]


def open_tests(study: Study, claims: Claims) -> list[OpenTest]:
    """The tests of the claims' parts that a later look may decide.

    A test is closed if a look has decided it, if it isn't applicable or its metric isn't measured, or after the last
    look.
    """
    judged = judge_looks(study, claims)
    found = []
    for key, (test, cell) in tests_in_cells(study, claims, "parts").items():
        verdict = judged[key]
        to_come = [n for n in claims.looks if not has_reached(study, test, cell, n)]
        if verdict.conclusion not in ("inconclusive", "too few seeds") or not to_come:
            continue
        levels = trials_of(study, test, cell).loc[:, list(study.factors)].drop_duplicates()
        trials = tuple(frame_rows(levels))
        found.append(OpenTest(claim=key.claim, says=test.says, verdict=verdict, next_look=to_come[0], trials=trials))
    return found
