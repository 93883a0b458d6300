"""Verdicts: what a study says to each claim, cell by cell, by one rule."""

from collections.abc import Sequence
from dataclasses import dataclass

from skiplab.analysis.claims.cell_verdicts import (
    ALPHA,
    CellVerdict,
    Look,
    arms_of,
    judge_cell,
    p_contradicted,
    p_supported,
)
from skiplab.analysis.claims.claims import FEWEST_SEEDS, Claim, Claims, Test
from skiplab.analysis.claims.compare import Paired, compare
from skiplab.analysis.claims.unmeasured import check_measured
from skiplab.analysis.statistics.ladder import first_seeds, spent
from skiplab.analysis.statistics.statistics import holm
from skiplab.analysis.study.arms import cells, with_arms
from skiplab.analysis.study.study import Study
from skiplab.analysis.study.tuned_study import NOT_AS_CLAIMED, SHARED, settings_mark
from skiplab.analysis.text import cell_text

_DECIDED = ("supported", "contradicted", "no meaningful difference")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the study says to one claim. marks: what limits it; contested_by: evidence on the other side."""

    claim: Claim
    question: str
    word: str
    marks: tuple[str, ...]
    cells: tuple[CellVerdict, ...]
    evidence: tuple[CellVerdict, ...]
    contested_by: tuple[CellVerdict, ...]
    claims_sha256: str

    @property
    def num_supported(self) -> int:
        return sum(cell.word == "supported" for cell in self.cells)


def judge(study: Study, claims: Claims) -> list[Verdict]:
    """Test every claim in each of its cells.

    With d the advantage in the claimed direction and δ the smallest effect worth caring about, a cell is
    'supported' when the lower end of the 95% interval of d exceeds δ and its one-sided p, Holm-adjusted over
    all primary tests of the file, is at most .025; 'contradicted' likewise below -δ; 'no meaningful
    difference' when the 90% interval lies within ±δ; else 'inconclusive'. None rests on survivors alone, nor on
    values that were not reached where the true ones could overturn it.

    Where the file declares a ladder of looks, the study is judged at each look that its seeds have reached, with
    the lowest so many of them and that look's share of .025; what the first look decides stands.

    Raises:
        SkiplabError: where a claim names a factor that the study doesn't know, or a metric that nothing measures.
    """
    check_measured(study, claims.metrics)
    if not claims.looks:
        return _verdicts(study, claims, _judge_cells(study, claims, Look()), ())
    num_seeds = study.trials["seed"].nunique()
    reached = [n for n in claims.looks if n <= num_seeds]
    shares = dict(zip(claims.looks, spent(claims.looks, ALPHA), strict=True))
    decided: dict[str, list[CellVerdict]] = {}
    for n in reached or claims.looks[:1]:
        early = first_seeds(study, n)
        found = _judge_cells(early, claims, Look(shares[n], n))
        decided = {name: [_first_decided(decided.get(name, ()), cell) for cell in own] for name, own in found.items()}
    return _verdicts(early, claims, decided, (_look_mark(claims.looks, len(reached), num_seeds),))


def _first_decided(earlier: Sequence[CellVerdict], cell: CellVerdict) -> CellVerdict:
    """What an earlier look has decided of this cell, else what this one says."""
    same = [other for other in earlier if other.word in _DECIDED and cell_text(other.cell) == cell_text(cell.cell)]
    return same[0] if same else cell


def _look_mark(looks: Sequence[int], num_reached: int, num_seeds: int) -> str:
    if num_reached == 0:
        return f"before the first look, at {looks[0]} seeds"
    at = looks[num_reached - 1]
    unused = f", {num_seeds - at} more not looked at" if num_seeds > at else ""
    after = f", next at {looks[num_reached]}" if num_reached < len(looks) else ", the last"
    return f"look {num_reached} of {len(looks)}, at {at} seeds{unused}{after}"


def _judge_cells(study: Study, claims: Claims, look: Look) -> dict[str, list[CellVerdict]]:
    """Every primary test in each of its cells, by claim, all adjusted together."""
    pairs = [(claim, paired) for claim in claims.claims for paired in _in_cells(study, claim, claim.primary)]
    supported = holm([p_supported(paired, claim.primary) for claim, paired in pairs])
    contradicted = holm([p_contradicted(paired, claim.primary) for claim, paired in pairs])
    judged: dict[str, list[CellVerdict]] = {claim.name: [] for claim in claims.claims}
    for (claim, paired), p_yes, p_no in zip(pairs, supported, contradicted, strict=True):
        judged[claim.name].append(
            judge_cell(
                study,
                claim.primary,
                paired,
                (p_yes, p_no),
                look=look,
                num_tests=len(pairs),
                failed_below=claims.failed_below,
            )
        )
    return judged


def _in_cells(study: Study, claim: Claim, test: Test) -> list[Paired]:
    contrast = test.contrast
    wanted = {name: levels for name, levels in claim.cells.items() if name != contrast.over}
    found = cells(study, contrast.factor, over=contrast.over, wanted=wanted)
    return [compare(study, contrast, cell) for cell in found]


def _verdicts(
    study: Study, claims: Claims, judged: dict[str, list[CellVerdict]], marks: tuple[str, ...]
) -> list[Verdict]:
    return [_verdict(study, claims, claim, judged[claim.name], marks) for claim in claims.claims]


def _verdict(
    study: Study, claims: Claims, claim: Claim, judged: Sequence[CellVerdict], look_marks: tuple[str, ...]
) -> Verdict:
    evidence = [
        judge_cell(study, test, paired, (0.0, 0.0), look=Look(), num_tests=1, failed_below=claims.failed_below)
        for test in claim.evidence
        for paired in _in_cells(study, claim, test)
    ]
    words = {cell.word for cell in judged}
    other_side = {"supported": "contradicted", "contradicted": "supported"}
    against = {other_side[word] for word in words if word in other_side}
    contested = tuple(item for item in evidence if item.word in against)
    word = words.pop() if len(words) == 1 else "mixed"
    return Verdict(
        claim=claim,
        question=claims.question,
        word=f"{word}, contested" if contested else word,
        marks=(*_marks(study, claims, claim, judged), *look_marks, *claims.marks),
        cells=tuple(judged),
        evidence=tuple(evidence),
        contested_by=contested,
        claims_sha256=claims.sha256,
    )


def _marks(study: Study, claims: Claims, claim: Claim, judged: Sequence[CellVerdict]) -> list[str]:
    """What limits a verdict: few seeds, settings that suit one arm, no smallest effect declared."""
    marks = []
    sizes = {cell.interval.n for cell in judged if cell.interval.n >= FEWEST_SEEDS}
    if FEWEST_SEEDS in sizes:
        marks.append("preliminary")
    settings = _settings_mark(study, claim)
    marks.append(NOT_AS_CLAIMED if claims.tuned and settings == SHARED else settings)
    if claim.primary.smallest_effect is None:
        marks.append("exploratory")
    return marks


def _settings_mark(study: Study, claim: Claim) -> str:
    """How the settings of both arms' trials were chosen."""
    trials = with_arms(study, claim.primary.contrast.factor)
    keys = trials.loc[trials["arm"].isin(arms_of(claim.primary.contrast)), "key"]
    return settings_mark([study.records[key] for key in keys], study.tuned)
