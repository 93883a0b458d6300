"""Verdicts: what a study says about each claim, cell by cell, by one rule."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from skiplab.analysis.claims.cell_verdicts import CellVerdict, Conclusion
from skiplab.analysis.claims.claims import FEWEST_SEEDS, Claim, Claims
from skiplab.analysis.claims.judging import Judged, judge_once
from skiplab.analysis.claims.looks import judge_looks, look_caveats, looked_at
from skiplab.analysis.claims.unmeasured import check_measured
from skiplab.analysis.study.arms import Cell, with_arms
from skiplab.analysis.study.cached_per_study import cached_per_study
from skiplab.analysis.study.study import Study
from skiplab.analysis.study.tuned_study import NOT_AS_CLAIMED, SHARED, UNKNOWN, settings_caveat
from skiplab.analysis.text import level_text
from skiplab.printable import printable

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


CORRECTED = "its test was corrected on"  # how that caveat begins


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
    study: the name of what was judged; '' for what no command can train further, see `Study.is_of_commands`.
    looks: as in the claims.
    cells: the verdict in each cell.
    evidence: the verdicts on further tests in each cell.
    """

    claim: Claim
    question: str
    conclusion: str
    caveats: tuple[str, ...]
    study: str
    looks: tuple[int, ...]
    cells: tuple[ClaimCell, ...]
    evidence: tuple[CellVerdict, ...]
    claims_sha256: str

    def count(self, conclusion: Conclusion) -> int:
        """In how many cells it is the conclusion."""
        return sum(cell.conclusion == conclusion for cell in self.cells)

    def __repr__(self) -> str:
        return f"Verdict on {printable(self.claim.name)}: {self.conclusion}"

    @property
    def num_contested(self) -> int:
        """In how many cells evidence contests the conclusion."""
        return sum(bool(cell.contested_by) for cell in self.cells)

    @property
    def contested_by(self) -> tuple[CellVerdict, ...]:
        """The evidence that contests a cell, each once."""
        contesting = {id(item) for cell in self.cells for item in cell.contested_by}
        return tuple(item for item in self.evidence if id(item) in contesting)


@cached_per_study
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

    Where the file declares looks, each test is judged at each look that its own trials have reached, with so many of
    the study's lowest seeds and that look's part of .025. What an earlier look decides stands.

    Raises:
        SkiplabError: where a claim names a factor that the study doesn't know, or a metric that nothing measures.
    """
    check_measured(study, claims.metrics)
    parts = judge_looks(study, claims) if claims.looks else judge_once(study, claims, "parts")
    evidence = judge_once(looked_at(study, parts) if claims.looks else study, claims, "evidence")
    return [
        _verdict(
            study,
            claims,
            claim,
            {key: cell for key, cell in parts.items() if key.claim == claim.name},
            tuple(cell for key, cell in evidence.items() if key.claim == claim.name),
        )
        for claim in claims.claims
    ]


def _verdict(
    study: Study,
    claims: Claims,
    claim: Claim,
    parts: Judged,
    evidence: tuple[CellVerdict, ...],
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
            *look_caveats(study, claims, list(parts.values())),
            *_correction_caveats(study, claim),
            *claims.caveats,
        ),
        study=study.name if study.is_of_commands else "",
        looks=claims.looks,
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


def _caveats(study: Study, claims: Claims, claim: Claim, parts: Judged) -> list[str]:
    """What limits a verdict: few seeds, settings that may suit one arm, no smallest effect declared."""
    caveats = []
    if any(part.interval.n == FEWEST_SEEDS for part in parts.values()):
        caveats.append("preliminary")
    settings = _settings_caveat(study, claim)
    caveats.append(NOT_AS_CLAIMED if claims.tuned and settings == SHARED else settings)
    if any(part.smallest_effect is None for part in claim.parts):
        caveats.append("exploratory")
    if num := study.num_without_record:
        caveats.append(f"{num} listed trial{'s' if num > 1 else ''} without a record")
    return caveats


def _correction_caveats(study: Study, claim: Claim) -> tuple[str, ...]:
    """That the claim's test was changed after a trial had begun."""
    day = claim.corrected
    if day is None:
        return ()
    caveat = f"{CORRECTED} {day}, after trials"
    was_late = study.published is not None and caveat in study.published.caveats.get(claim.name, ())
    came_late = any(datetime.fromisoformat(start).date() < day for start in study.first_starts.values())
    return (caveat,) if was_late or came_late else ()


def _settings_caveat(study: Study, claim: Claim) -> str:
    """How the settings of both arms' trials were found."""
    if study.arm_column is not None:
        return UNKNOWN
    trials = with_arms(study, claim.parts[0].contrast.factor)
    arms = {arm for part in claim.parts for arm in part.contrast.arms}
    keys = trials.loc[trials["arm"].isin(list(arms)), "key"]
    found = [each for each in map(study.settings_of, keys) if each is not None]
    return settings_caveat(found, study.tuned) if len(found) == len(keys) else UNKNOWN
