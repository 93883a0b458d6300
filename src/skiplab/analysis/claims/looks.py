"""A study that is judged at several looks: each test climbs them until one decides it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from skiplab.analysis.claims.cell_verdicts import (
    ALPHA,
    AdjustedP,
    CellVerdict,
    Conclusion,
    Look,
    TestInCell,
    judge_cell,
    p_contradicted,
    p_supported,
    test_in_cell,
)
from skiplab.analysis.claims.claims import Claims, Test
from skiplab.analysis.claims.judging import Judged, Key, adjusted, tests_in_cells
from skiplab.analysis.frames import column
from skiplab.analysis.statistics.alpha_spending import alpha_per_look
from skiplab.analysis.study.arms import Cell, in_cell, with_arms
from skiplab.analysis.study.study import Study
from skiplab.records.statuses import FINISHED

DECIDED: tuple[Conclusion, ...] = ("supported", "contradicted", "no meaningful difference")
UNDECIDED: tuple[Conclusion, ...] = ("inconclusive", "too few seeds")  # which more seeds may decide


def judge_looks(study: Study, claims: Claims) -> Judged:
    """Judge every part of every claim in its cells, at the last look that its trials have reached.

    A look has been reached by a test if all of its trials with the look's number of the study's lowest seeds have
    ended. What a look decides stands. Tests that it doesn't decide go on to the next look that they reach; those that
    get no more trials keep their verdict. At each look p values are Holm-adjusted over all tests of the file and
    compared with the look's part of alpha. A test that was rejected at an earlier look counts as rejected, which makes
    room for the rest; one that has not reached the look counts as not rejected.

    Source: Maurer and Bretz 2013, Multiple testing in group sequential trials using graphical approaches, section 3
    (from memory), of which this is the case of Holm's graph with alpha divided over looks.
    """
    tests = tests_in_cells(study, claims, "parts")
    alphas = alpha_per_look(claims.looks, ALPHA)
    judged: Judged = {}
    for n, alpha in zip(claims.looks, alphas, strict=True):
        seen = _with_lowest_seeds(study, n)
        is_first = not judged
        now = {
            key: test_in_cell(seen, test, cell)
            for key, (test, cell) in tests.items()
            if is_first or (judged[key].conclusion not in DECIDED and has_reached(study, test, cell, n))
        }
        if not now:
            continue
        look = Look(alpha, n)
        supported = _adjusted(tests, now, judged, look, "supported")
        contradicted = _adjusted(tests, now, judged, look, "contradicted")
        for key, found in now.items():
            p = AdjustedP(supported[key], contradicted[key], len(tests))
            judged[key] = judge_cell(found, p, look=look)
    return judged


def looked_at(study: Study, judged: Judged) -> Study:
    """The study without the seeds that wait for a later look."""
    return _with_lowest_seeds(study, max(each.look.num_seeds for each in judged.values()))


def has_reached(study: Study, test: Test, cell: Cell, num_seeds: int) -> bool:
    """Whether all trials of a test with so many of the study's lowest seeds have ended."""
    trials = trials_of(study, test, cell)
    wanted = set(_lowest_seeds(study, num_seeds))
    if trials.empty or len(wanted) < num_seeds:
        return False
    levels = ["arm", *study.factors]
    ended = trials.loc[trials["status"].isin(FINISHED)]
    have = {each: set(rows["seed"]) for each, rows in ended.groupby(levels, observed=True, dropna=False)}
    return all(wanted <= have.get(each, set()) for each in trials.groupby(levels, observed=True, dropna=False).groups)


def trials_of(study: Study, test: Test, cell: Cell) -> pd.DataFrame:
    """The trials that a test in a cell rests on, whatever their status, with their arm."""
    rows = in_cell(study, with_arms(study, test.contrast.factor), cell)
    return rows.loc[rows["arm"].isin(list(test.contrast.arms))]


def look_caveats(study: Study, claims: Claims, parts: Sequence[CellVerdict]) -> tuple[str, ...]:
    """At which looks the parts of a claim were last judged, and which are still to come."""
    if not claims.looks:
        return ()
    looks = claims.looks
    if all(part.conclusion == "too few seeds" for part in parts):
        return (f"before the first look, at {looks[0]} seeds",)
    first, last = min(part.look.num_seeds for part in parts), max(part.look.num_seeds for part in parts)
    of = f"of {len(looks)}, at"
    if first == last:
        text = f"look {looks.index(last) + 1} {of} {last} seeds"
    else:
        text = f"looks {looks.index(first) + 1} to {looks.index(last) + 1} {of} {first} to {last} seeds"
    if all(part.conclusion in DECIDED for part in parts):
        return (text,)
    unused = len(set(study.trials["seed"])) - last
    reached = min((part.look.num_seeds for part in parts if part.conclusion in UNDECIDED), default=last)
    to_come = "the last" if reached == looks[-1] else f"next at {looks[looks.index(reached) + 1]}"
    return (text, *([f"{unused} more not looked at"] if unused > 0 else []), to_come)


def _adjusted(
    tests: Mapping[Key, object], now: Mapping[Key, TestInCell], judged: Judged, look: Look, side: Conclusion
) -> dict[Key, float]:
    """The p values of one side: 0 of tests that were rejected at an earlier look, 1 of those that wait."""
    p_of = p_supported if side == "supported" else p_contradicted
    p = {key: float(judged[key].conclusion != side) if key in judged else 1.0 for key in tests}
    return adjusted(p | {key: p_of(found) for key, found in now.items() if look.can_judge(found.paired)})


def _lowest_seeds(study: Study, num_seeds: int) -> list[int]:
    return sorted(study.trials["seed"].unique())[:num_seeds]


def _with_lowest_seeds(study: Study, num_seeds: int) -> Study:
    """The study without all but so many of its lowest seeds."""
    kept = column(study.trials, "seed").isin(_lowest_seeds(study, num_seeds))
    return replace(study, trials=study.trials.loc[kept].reset_index(drop=True))
