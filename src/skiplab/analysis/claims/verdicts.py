"""Verdicts: what a study says about each claim, cell by cell, by one rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from skiplab.analysis.claims.cell_verdicts import (
    ALPHA,
    AdjustedP,
    CellVerdict,
    Conclusion,
    Look,
    judge_cell,
    p_contradicted,
    p_supported,
    test_in_cell,
)
from skiplab.analysis.claims.claims import FEWEST_SEEDS, Claim, Claims, Test
from skiplab.analysis.claims.unmeasured import check_measured
from skiplab.analysis.statistics.alpha_spending import alpha_per_look
from skiplab.analysis.statistics.significance import holm
from skiplab.analysis.study.arms import Cell, cells, with_arms
from skiplab.analysis.study.study import Study
from skiplab.analysis.study.tuned_study import NOT_AS_CLAIMED, SHARED, settings_caveat
from skiplab.analysis.text import cell_text, level_text

_DECIDED = ("supported", "contradicted", "no meaningful difference")
_OTHER_SIDE = {"supported": "contradicted", "contradicted": "supported"}
# What a cell says whose parts differ: the first of these that one of them says.
_WEAKEST: tuple[Conclusion, ...] = (
    "contradicted",
    "no meaningful difference",
    "not run",
    "not applicable",
    "too few seeds",
    "inconclusive",
    "supported",
)


@dataclass(frozen=True, kw_only=True)
class ClaimCell:
    """A claim in one cell.

    parts: the verdicts on the tests of its parts.
    contested_by: the evidence in this cell that reaches the opposite conclusion.
    """

    parts: tuple[CellVerdict, ...]
    contested_by: tuple[CellVerdict, ...] = ()

    @property
    def cell(self) -> Cell:
        return self.parts[0].cell

    @property
    def conclusion(self) -> Conclusion:
        """What all parts say; where they differ, the claim fails with the part that fails."""
        return next(each for each in _WEAKEST if each in {part.conclusion for part in self.parts})


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on one claim.

    conclusion: what its cells say where they agree, else 'mixed'; cells where it isn't applicable are left out, unless
        it is in none.
    caveats: what limits the verdict, such as few seeds.
    cells: the verdict in each cell.
    evidence: the verdicts on further tests in each cell.
    """

    claim: Claim
    question: str
    conclusion: str
    caveats: tuple[str, ...]
    cells: tuple[ClaimCell, ...]
    evidence: tuple[CellVerdict, ...]
    claims_sha256: str

    def count(self, conclusion: Conclusion) -> int:
        """In how many cells it is the conclusion."""
        return sum(cell.conclusion == conclusion for cell in self.cells)

    @property
    def num_contested(self) -> int:
        """In how many cells evidence contests the conclusion."""
        return sum(bool(cell.contested_by) for cell in self.cells)

    @property
    def contested_by(self) -> tuple[CellVerdict, ...]:
        """The evidence that contests a cell, each once."""
        contesting = {id(item) for cell in self.cells for item in cell.contested_by}
        return tuple(item for item in self.evidence if id(item) in contesting)


def judge(study: Study, claims: Claims) -> list[Verdict]:
    """Test every part of every claim in each of its cells.

    With d the advantage in the claimed direction and δ the smallest effect that counts, a part is

    - 'supported' if the one-sided p of d <= δ, Holm-adjusted over all parts of all claims of the file and their cells,
      is at most .025; of 'not_higher' and 'not_lower' the p of d <= -δ;
    - 'contradicted' likewise with d >= -δ;
    - 'no meaningful difference' if the p values of d <= -δ and of d >= δ are both below .05;
    - 'inconclusive' otherwise.

    A claim is supported in a cell if all of its parts are, and contradicted if one is. Evidence is judged in the same
    way, adjusted over all evidence of the file, and contests the claim in the cell that it was found in. A test of a
    mechanism is 'not applicable' where an arm has collapsed. No conclusion rests on survivors alone, nor on lower
    bounds where the true values could overturn it.

    Where the file declares looks, the study is judged at each look that its seeds have reached, with so many of its
    lowest seeds and that look's part of .025. What an earlier look decides stands.

    Raises:
        SkiplabError: where a claim names a factor that the study doesn't know, or a metric that nothing measures.
    """
    check_measured(study, claims.metrics)
    if not claims.looks:
        return _verdicts(study, claims, _judge_parts(study, claims, Look()), ())
    num_seeds = len(set(study.trials["seed"]))
    reached = [n for n in claims.looks if n <= num_seeds]
    alphas = dict(zip(claims.looks, alpha_per_look(claims.looks, ALPHA), strict=True))
    judged: _Judged = {}
    seen = study
    for n in reached or claims.looks[:1]:
        seen = _with_lowest_seeds(study, n)
        found = _judge_parts(seen, claims, Look(alphas[n], n))
        judged = {key: _first_decided(judged.get(key), cell) for key, cell in found.items()}
    return _verdicts(seen, claims, judged, (_look_caveat(claims.looks, len(reached), num_seeds),))


class _Key(NamedTuple):
    """Which test of which claim, in which cell."""

    claim: str
    test: int
    cell: str


_Judged = dict[_Key, CellVerdict]


def _with_lowest_seeds(study: Study, num_seeds: int) -> Study:
    """The study without all but so many of its lowest seeds."""
    seeds = sorted(study.trials["seed"].unique())[:num_seeds]
    return replace(study, trials=study.trials.loc[study.trials["seed"].isin(seeds)].reset_index(drop=True))


def _first_decided(earlier: CellVerdict | None, cell: CellVerdict) -> CellVerdict:
    """The verdict of an earlier look if that look decided it, else this one."""
    return earlier if earlier is not None and earlier.conclusion in _DECIDED else cell


def _look_caveat(looks: Sequence[int], num_reached: int, num_seeds: int) -> str:
    if num_reached == 0:
        return f"before the first look, at {looks[0]} seeds"
    at = looks[num_reached - 1]
    unused = f", {num_seeds - at} more not looked at" if num_seeds > at else ""
    after = f", next at {looks[num_reached]}" if num_reached < len(looks) else ", the last"
    return f"look {num_reached} of {len(looks)}, at {at} seeds{unused}{after}"


def _judge_parts(study: Study, claims: Claims, look: Look) -> _Judged:
    """The tests of the parts of all claims in each of their cells, all adjusted together."""
    return _judge_together({claim.name: claim.parts for claim in claims.claims}, study, claims, look)


def _judge_evidence(study: Study, claims: Claims) -> _Judged:
    """The evidence of all claims in each of their cells, all adjusted together."""
    return _judge_together({claim.name: claim.evidence for claim in claims.claims}, study, claims, Look())


def _judge_together(tests: Mapping[str, Sequence[Test]], study: Study, claims: Claims, look: Look) -> _Judged:
    found = {
        _Key(claim.name, number, cell_text(cell)): test_in_cell(study, test, cell)
        for claim in claims.claims
        for number, test in enumerate(tests[claim.name])
        for cell in _cells(study, claim, test)
    }
    supported, contradicted = (holm([p(each) for each in found.values()]) for p in (p_supported, p_contradicted))
    adjusted = zip(found.items(), supported, contradicted, strict=True)
    return {
        key: judge_cell(each, AdjustedP(p_yes, p_no, len(found)), look=look) for (key, each), p_yes, p_no in adjusted
    }


def _cells(study: Study, claim: Claim, test: Test) -> list[Cell]:
    contrast = test.contrast
    wanted = {name: levels for name, levels in claim.cells.items() if name != contrast.over}
    return cells(study, contrast.factor, over=contrast.over, wanted=wanted)


def _verdicts(study: Study, claims: Claims, parts: _Judged, look_caveats: tuple[str, ...]) -> list[Verdict]:
    evidence = _judge_evidence(study, claims)
    return [
        _verdict(
            study,
            claims,
            claim,
            {key: cell for key, cell in parts.items() if key.claim == claim.name},
            tuple(cell for key, cell in evidence.items() if key.claim == claim.name),
            look_caveats,
        )
        for claim in claims.claims
    ]


def _verdict(
    study: Study,
    claims: Claims,
    claim: Claim,
    parts: _Judged,
    evidence: tuple[CellVerdict, ...],
    look_caveats: tuple[str, ...],
) -> Verdict:
    by_cell = {key.cell: tuple(each for other, each in parts.items() if other.cell == key.cell) for key in parts}
    judged = tuple(_contested(ClaimCell(parts=own), evidence) for own in by_cell.values())
    conclusions = {cell.conclusion for cell in judged}
    applicable = conclusions - {"not applicable"} or conclusions
    return Verdict(
        claim=claim,
        question=claims.question,
        conclusion=applicable.pop() if len(applicable) == 1 else "mixed",
        caveats=(
            *_caveats(study, claims, claim, parts),
            *look_caveats,
            *_correction_caveats(study, claim),
            *claims.caveats,
        ),
        cells=judged,
        evidence=evidence,
        claims_sha256=claims.sha256,
    )


def _contested(judged: ClaimCell, evidence: Sequence[CellVerdict]) -> ClaimCell:
    """The cell with the evidence that contests it there."""
    opposite = _OTHER_SIDE.get(judged.conclusion)
    contesting = (item for item in evidence if item.conclusion == opposite and _same_cell(item.cell, judged.cell))
    return replace(judged, contested_by=tuple(contesting))


def _same_cell(one: Cell, other: Cell) -> bool:
    """Whether two cells agree in each factor that both name; a test over depth names no depth."""
    return all(level_text(one[name]) == level_text(other[name]) for name in one.keys() & other.keys())


def _caveats(study: Study, claims: Claims, claim: Claim, parts: _Judged) -> list[str]:
    """What limits a verdict: few seeds, settings that may suit one arm, no smallest effect declared."""
    caveats = []
    if any(part.interval.n == FEWEST_SEEDS for part in parts.values()):
        caveats.append("preliminary")
    settings = _settings_caveat(study, claim)
    caveats.append(NOT_AS_CLAIMED if claims.tuned and settings == SHARED else settings)
    if any(part.smallest_effect is None for part in claim.parts):
        caveats.append("exploratory")
    return caveats


def _correction_caveats(study: Study, claim: Claim) -> tuple[str, ...]:
    """That the claim's test was changed after a trial had begun."""
    day = claim.corrected
    if day is None or all(datetime.fromisoformat(start).date() >= day for start in study.first_starts.values()):
        return ()
    return (f"its test was corrected on {day}, after trials",)


def _settings_caveat(study: Study, claim: Claim) -> str:
    """How the settings of both arms' trials were found."""
    trials = with_arms(study, claim.parts[0].contrast.factor)
    arms = {arm for part in claim.parts for arm in part.contrast.arms}
    keys = trials.loc[trials["arm"].isin(list(arms)), "key"]
    return settings_caveat([study.records[key] for key in keys], study.tuned)
