"""What `skiplab decide` prints before, between and after the looks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from skiplab.analysis.claims.cell_verdicts import CellVerdict
from skiplab.analysis.claims.claims import Claims
from skiplab.analysis.claims.looks import DECIDED
from skiplab.analysis.claims.p_values import needs_more_seeds
from skiplab.analysis.claims.verdict_text import effect_interval_text, effect_text, seeds_text
from skiplab.analysis.claims.verdicts import Verdict
from skiplab.analysis.statistics.resampling import FEWEST_FOR_PERMUTATION
from skiplab.analysis.text import cell_text, exponential
from skiplab.deciding.cost import Cost
from skiplab.deciding.ladder import Ladder, NextLook
from skiplab.deciding.ladder_sweep import Point
from skiplab.deciding.outlook import Outlook, percent
from skiplab.printable import counted

_MOST_NAMED = 8  # arms and cells


def opening(ladder: Ladder) -> Iterator[str]:
    """What is asked, of what."""
    source, seeds = ladder.source, ladder.seeds(ladder.looks[-1])
    left_out = [look for look in ladder.claims.looks if look not in ladder.looks]
    yield f"study {source.study}: {_points(ladder.points)}, {source.origin}"
    yield f"claims: {_from_here(source.claims)}"
    if source.tuned:
        yield f"settings: as tuned in {_from_here(source.tuned)}"
    if ladder.published:
        yield f"goes on from: {ladder.published}"
    more = f"; --max-seeds leaves out {_listed(left_out)}" if left_out else ""
    yield f"looks: at {_listed(ladder.looks)} seeds, from seed {seeds[0]} up to {seeds[-1]}{more}"


def expected(at_most: Cost, likely: Cost | None) -> str:
    """What is still to come."""
    text = f"to come: at most {at_most}"
    return text if likely is None else f"{text}; likely {likely}"


def after_look(ladder: Ladder, verdicts: Sequence[Verdict], outlooks: Sequence[Outlook]) -> Iterator[str]:
    """How many tests are decided, and a line for each that goes on."""
    going_on = [each for each in outlooks if not each.stops]
    num_stopping = len(outlooks) - len(going_on)
    reached = max(part.look.num_seeds for verdict in verdicts for cell in verdict.cells for part in cell.parts)
    numbers = f"{len(going_on)} going on{f', {num_stopping} stopping' if num_stopping else ''}"
    yield f"after {look_name(ladder, reached)}: {counts(verdicts)}, {numbers}"
    for each in going_on:
        yield f"  goes on: {test_name(each, ladder.claims)}: {_estimate(each)}; {_distance(each)}"


def stopped(ladder: Ladder, outlook: Outlook, going_on: Cost, by_itself: Cost) -> str:
    """Why a test stops, and what it would cost to go on.

    Args:
        ladder: the ladder.
        outlook: the test.
        going_on: all that it would take up to the last look.
        by_itself: the part of it that no test needs that goes on.
    """
    cost = f"to go on to {ladder.claims.looks[-1]} seeds would take {by_itself}" if by_itself.trials else ""
    if by_itself.trials < going_on.trials:
        cost += f"{', and ' if cost else ''}other tests may train what it needs, and then it is judged too"
    parts = (f"{test_name(outlook, ladder.claims)}: {_estimate(outlook)}", outlook.stops, cost)
    return f"  stops: {'; '.join(each for each in parts if each)}"


def next_look(ladder: Ladder, plan: NextLook, cost: Cost) -> Iterator[str]:
    """What is trained next."""
    yield f"next: {look_name(ladder, plan.num_seeds)}: {cost}, for {_points(list(plan.needed))}"
    if len(plan.needed) < len(ladder.points):
        named = [" ".join(point.words) for point in plan.needed]
        more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        yield f"  {'; '.join(named[:_MOST_NAMED])}{more}"


def look_name(ladder: Ladder, num_seeds: int) -> str:
    """A look by its number among the declared ones."""
    looks = ladder.claims.looks
    return f"look {looks.index(num_seeds) + 1} of {len(looks)}, at {num_seeds} seeds"


def counts(verdicts: Sequence[Verdict]) -> str:
    """How many tests are decided."""
    cells = [part for verdict in verdicts for cell in verdict.cells for part in cell.parts]
    decided = sum(cell.conclusion in DECIDED for cell in cells)
    not_applicable = sum(cell.conclusion == "not applicable" for cell in cells)
    more = f", {not_applicable} not applicable" if not_applicable else ""
    return f"{decided} of {len(cells)} tests decided{more}"


def closing(ladder: Ladder, verdicts: Sequence[Verdict]) -> str:
    """What was decided, and at which cost."""
    last = ladder.claims.looks[-1]
    fixed = len(ladder.points) * last
    trained, published = ladder.num_trained(), len(ladder.taken_over)
    before = f", {published} of them published and {trained} trained here" if published else ""
    trials = counted(published + trained)
    return f"{counts(verdicts)} by {trials}{before}; {last} seeds of everything would have taken {fixed}"


def test_name(outlook: Outlook, claims: Claims) -> str:
    """A test as text: its claim, its part if there are others, and its cell."""
    claim = next(each for each in claims.claims if each.name == outlook.test.claim)
    part = f" “{outlook.test.says}”" if len(claim.parts) > 1 else ""
    return f"{claim.name}{part}, {cell_text(outlook.test.verdict.cell)}"


def _estimate(outlook: Outlook) -> str:
    """The estimate, its interval, and what counts."""
    cell = outlook.test.verdict
    metric, interval = cell.paired.metric, cell.interval
    size = f"{effect_text(metric, interval)} {effect_interval_text(metric, interval)}"
    return f"{size} at {interval.n} seeds, smallest effect {_least(cell)}"


def _distance(outlook: Outlook) -> str:
    """How far a test is from a decision."""
    cell = outlook.test.verdict
    if not outlook.chances:
        return "its first look is still to come"
    if needs_more_seeds(cell.paired):
        return f"only an exact test can decide it, which needs {FEWEST_FOR_PERMUTATION} seeds"
    chance = max(outlook.chances.values())
    return seeds_text(cell) or f"a chance of at most {percent(chance)} to be decided by the last look"


def _least(cell: CellVerdict) -> str:
    if cell.test.smallest_effect is None:
        return "not declared"
    is_ratio = cell.paired.metric.scale == "log"
    return f"×{exponential(cell.test.margin):.4g}" if is_ratio else f"{cell.test.margin:.4g}"


def _points(points: Sequence[Point]) -> str:
    return "1 combination of arm and cell" if len(points) == 1 else f"{len(points)} combinations of arm and cell"


def _from_here(path: Path) -> Path:
    """A path as it would be typed here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _listed(looks: Sequence[int]) -> str:
    return ", ".join(map(str, looks))
