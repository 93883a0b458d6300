"""What would decide a claim that isn't decided: a command."""

from collections.abc import Sequence

from skiplab.analysis.claims.cell_verdicts import CellVerdict
from skiplab.analysis.claims.looks import UNDECIDED
from skiplab.analysis.claims.plain_words import cell_words, listed
from skiplab.analysis.claims.verdicts import ClaimCell, Verdict
from skiplab.analysis.statistics.sample_size import MOST_SEEDS, SeedsRange
from skiplab.printable import printable

_MOST_NAMED = 3  # undecided cells


def next_step(verdict: Verdict, command: str = "", quote: str = "") -> str:
    """The command that adds seeds to the cells of a claim that are undecided, and how many seeds it may take.

    '' where all is decided, or more seeds don't help: where no number of them decides, or nothing was measured.

    Args:
        verdict: on the claim.
        command: what stands for `skiplab decide STUDY`.
        quote: what stands before and after the command, such as a backtick.
    """
    cells = [cell for cell in verdict.cells if cell.conclusion in UNDECIDED]
    undecided = [part for cell in cells for part in cell.parts if _may_be_decided(part)]
    if not undecided:
        return ""
    last = min(part.look.num_seeds for part in undecided)
    to_come = [look for look in verdict.looks if look > last or undecided[0].conclusion == "too few seeds"]
    seeds, where = _seeds(undecided), _where(cells, len(verdict.cells))
    what = f"To decide it{where}: "
    if all(part.seeds == (None, None) for part in undecided):
        return f"More seeds aren't likely to decide it{where}: no number up to {MOST_SEEDS} would if the mean stays."
    if not verdict.study:
        return f"{what}{seeds or 'add runs'}."
    command = command or f"skiplab decide {printable(verdict.study)}"
    if to_come and _fewest(undecided) > to_come[-1]:
        return f"The looks to come aren't likely to decide it{where}: the last is at {to_come[-1]} seeds; {seeds}."
    if to_come:
        come = f"{'look' if len(to_come) == 1 else 'looks'} to come: {listed(list(map(str, to_come)))} seeds"
        return f"{what}{quote}{command}{quote} ({come}{f'; {seeds}' if seeds else ''})"
    if not verdict.claims_sha256:
        draft = f"{quote}skiplab claims {printable(verdict.study)}{quote} drafts a claims file"
        way = f"{draft}, and {quote}{command} --claims FILE{quote} adds seeds by it"
    else:
        way = f"{quote}{command} --claims COPY{quote}, with looks at more seeds in a copy of the claims file"
    return f"{what}{way}{f' ({seeds})' if seeds else ''}"


def _may_be_decided(part: CellVerdict) -> bool:
    """Whether more seeds may decide it."""
    return part.conclusion in UNDECIDED and not (part.paired.missing or part.out_of_reach)


def _where(cells: Sequence[ClaimCell], total: int) -> str:
    """In which cells a claim is undecided, if not in all: by name if they are few."""
    if len(cells) == total:
        return ""
    if len(cells) > _MOST_NAMED:
        return f" in {len(cells)} cells"
    return f" {listed([cell_words(cell.cell) for cell in cells])}"


def _ranges(undecided: Sequence[CellVerdict]) -> list[SeedsRange]:
    return [part.seeds for part in undecided if part.seeds is not None and part.seeds.low is not None]


def _fewest(undecided: Sequence[CellVerdict]) -> int:
    """How many seeds would decide the first of them; 0 where that isn't known."""
    return min((each.low or 0 for each in _ranges(undecided)), default=0)


def _seeds(undecided: Sequence[CellVerdict]) -> str:
    """Between how many seeds and how many the undecided tests would be decided."""
    ranges = _ranges(undecided)
    if not ranges:
        return ""
    low, highs = _fewest(undecided), [each.high for each in ranges]
    high = None if None in highs else max(each or 0 for each in highs)
    if low == high:
        return f"{low} seeds would decide"
    return f"{low} to {'more than ' + str(MOST_SEEDS) if high is None else high} seeds would decide"
