"""Verdicts: what a study says about each claim, cell by cell, by one rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from skiplab.analysis.claims.cell_verdicts import (
    ALPHA,
    NOT_ADJUSTED,
    AdjustedP,
    CellVerdict,
    Look,
    judge_cell,
    p_contradicted,
    p_supported,
)
from skiplab.analysis.claims.claims import FEWEST_SEEDS, Claim, Claims, Test
from skiplab.analysis.claims.contrasts import PairedContrast, compute_contrast
from skiplab.analysis.claims.unmeasured import check_measured
from skiplab.analysis.statistics.alpha_spending import alpha_per_look
from skiplab.analysis.statistics.significance import holm
from skiplab.analysis.study.arms import cells, with_arms
from skiplab.analysis.study.study import Study
from skiplab.analysis.study.tuned_study import NOT_AS_CLAIMED, SHARED, settings_caveat
from skiplab.analysis.text import cell_text

_DECIDED = ("supported", "contradicted", "no meaningful difference")
_OTHER_SIDE = {"supported": "contradicted", "contradicted": "supported"}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on one claim.

    conclusion: that of all its cells where they agree, else 'mixed'; ', contested' follows where evidence disagrees.
    caveats: what limits the verdict, such as few seeds.
    cells, evidence: the verdicts on the primary test and on further ones, each in every cell.
    contested_by: those of the evidence that reach the opposite conclusion.
    """

    claim: Claim
    question: str
    conclusion: str
    caveats: tuple[str, ...]
    cells: tuple[CellVerdict, ...]
    evidence: tuple[CellVerdict, ...]
    contested_by: tuple[CellVerdict, ...]
    claims_sha256: str

    @property
    def num_supported(self) -> int:
        return sum(cell.conclusion == "supported" for cell in self.cells)


def judge(study: Study, claims: Claims) -> list[Verdict]:
    """Test every claim in each of its cells.

    With d the advantage in the claimed direction and δ the smallest effect that counts, a cell is

    - 'supported' if the lower end of the 95% interval of d exceeds δ and the one-sided p of d, Holm-adjusted over all
      primary tests of the file, is at most .025;
    - 'contradicted' likewise below -δ;
    - 'no meaningful difference' if the 90% interval lies within ±δ;
    - 'inconclusive' otherwise.

    No conclusion rests on survivors alone, nor on lower bounds where the true values could overturn it.

    Where the file declares looks, the study is judged at each look that its seeds have reached, with so many of its
    lowest seeds and that look's part of .025. What an earlier look decides stands.

    Raises:
        SkiplabError: where a claim names a factor that the study doesn't know, or a metric that nothing measures.
    """
    check_measured(study, claims.metrics)
    if not claims.looks:
        return _verdicts(study, claims, _judge_cells(study, claims, Look()), ())
    num_seeds = len(set(study.trials["seed"]))
    reached = [n for n in claims.looks if n <= num_seeds]
    alphas = dict(zip(claims.looks, alpha_per_look(claims.looks, ALPHA), strict=True))
    judged: dict[str, list[CellVerdict]] = {}
    seen = study
    for n in reached or claims.looks[:1]:
        seen = _with_lowest_seeds(study, n)
        found = _judge_cells(seen, claims, Look(alphas[n], n))
        judged = {name: [_first_decided(judged.get(name, ()), cell) for cell in own] for name, own in found.items()}
    return _verdicts(seen, claims, judged, (_look_caveat(claims.looks, len(reached), num_seeds),))


def _with_lowest_seeds(study: Study, num_seeds: int) -> Study:
    """The study without all but so many of its lowest seeds."""
    seeds = sorted(study.trials["seed"].unique())[:num_seeds]
    return replace(study, trials=study.trials.loc[study.trials["seed"].isin(seeds)].reset_index(drop=True))


def _first_decided(earlier: Sequence[CellVerdict], cell: CellVerdict) -> CellVerdict:
    """The verdict of an earlier look on this cell if that look decided it, else this one."""
    decided = [each for each in earlier if each.conclusion in _DECIDED and cell_text(each.cell) == cell_text(cell.cell)]
    return decided[0] if decided else cell


def _look_caveat(looks: Sequence[int], num_reached: int, num_seeds: int) -> str:
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
        p = AdjustedP(p_yes, p_no, len(pairs))
        cell = judge_cell(study, claim.primary, paired, p, look=look, collapsed_below=claims.collapsed_below)
        judged[claim.name].append(cell)
    return judged


def _in_cells(study: Study, claim: Claim, test: Test) -> list[PairedContrast]:
    contrast = test.contrast
    wanted = {name: levels for name, levels in claim.cells.items() if name != contrast.over}
    found = cells(study, contrast.factor, over=contrast.over, wanted=wanted)
    return [compute_contrast(study, contrast, cell) for cell in found]


def _verdicts(
    study: Study, claims: Claims, judged: Mapping[str, Sequence[CellVerdict]], look_caveats: tuple[str, ...]
) -> list[Verdict]:
    return [_verdict(study, claims, claim, judged[claim.name], look_caveats) for claim in claims.claims]


def _verdict(
    study: Study, claims: Claims, claim: Claim, judged: Sequence[CellVerdict], look_caveats: tuple[str, ...]
) -> Verdict:
    evidence = [
        judge_cell(study, test, paired, NOT_ADJUSTED, look=Look(), collapsed_below=claims.collapsed_below)
        for test in claim.evidence
        for paired in _in_cells(study, claim, test)
    ]
    conclusions = {cell.conclusion for cell in judged}
    opposite = {_OTHER_SIDE[each] for each in conclusions if each in _OTHER_SIDE}
    contested_by = tuple(item for item in evidence if item.conclusion in opposite)
    conclusion = conclusions.pop() if len(conclusions) == 1 else "mixed"
    return Verdict(
        claim=claim,
        question=claims.question,
        conclusion=f"{conclusion}, contested" if contested_by else conclusion,
        caveats=(*_caveats(study, claims, claim, judged), *look_caveats, *claims.caveats),
        cells=tuple(judged),
        evidence=tuple(evidence),
        contested_by=contested_by,
        claims_sha256=claims.sha256,
    )


def _caveats(study: Study, claims: Claims, claim: Claim, judged: Sequence[CellVerdict]) -> list[str]:
    """What limits a verdict: few seeds, settings that may suit one arm, no smallest effect declared."""
    caveats = []
    if any(cell.interval.n == FEWEST_SEEDS for cell in judged):
        caveats.append("preliminary")
    settings = _settings_caveat(study, claim)
    caveats.append(NOT_AS_CLAIMED if claims.tuned and settings == SHARED else settings)
    if claim.primary.smallest_effect is None:
        caveats.append("exploratory")
    return caveats


def _settings_caveat(study: Study, claim: Claim) -> str:
    """How the settings of both arms' trials were found."""
    contrast = claim.primary.contrast
    trials = with_arms(study, contrast.factor)
    keys = trials.loc[trials["arm"].isin(contrast.arms), "key"]
    return settings_caveat([study.records[key] for key in keys], study.tuned)
