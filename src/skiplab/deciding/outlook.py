"""Whether an open test goes on to its next look or stops, and up to which look it will likely go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from skiplab.analysis.claims.cell_verdicts import ALPHA, CellVerdict
from skiplab.analysis.claims.ladder import OpenTest
from skiplab.analysis.claims.p_values import needs_more_seeds
from skiplab.analysis.statistics.alpha_spending import alpha_per_look
from skiplab.analysis.statistics.resampling import FEWEST_FOR_PERMUTATION
from skiplab.deciding.chance import chance_of_decision
from skiplab.deciding.ladder_sweep import Point
from skiplab.deciding.needed_points import missing_trials, needed_points

FUTILE_BELOW = 0.1  # a test stops if its chance of a decision at every look that is left is lower
_EVEN = 0.5


@dataclass(frozen=True)
class Outlook:
    """What becomes of an open test.

    points: the arms and cells that it needs.
    stops: why it gets no more seeds; '' if it goes on.
    chances: of a decision, at each look that is left, if its p isn't adjusted for other tests; empty where unknown.
    likely: the look at which it has an even chance of a decision, else the last; it doesn't matter if it stops.
    """

    test: OpenTest
    points: tuple[Point, ...]
    stops: str
    chances: Mapping[int, float]
    likely: int


def outlook(test: OpenTest, points: Sequence[Point], declared: Sequence[int], affordable: Sequence[int]) -> Outlook:
    """The outlook of an open test.

    Stopping costs no control of errors: no verdict comes from it, and a test that stops would at worst have gone on to
    be decided.

    Args:
        test: the test.
        points: all that can be trained.
        declared: the looks of the claims file.
        affordable: those of them that may be reached.
    """
    left = [look for look in affordable if look >= test.next_look]
    own = tuple(needed_points(test, points))
    if missing := missing_trials(test, points):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return Outlook(test, own, f"it needs trials that the sweep doesn't have: {missing[0]}{more}", {}, declared[-1])
    if not left:
        return Outlook(test, own, f"its next look, at {test.next_look} seeds, is above --max-seeds", {}, declared[-1])
    if test.next_look == declared[0]:
        return Outlook(test, own, "", {}, left[-1])
    cell = test.verdict
    if reason := _never(cell):
        return Outlook(test, own, reason, dict.fromkeys(left, 0.0), left[-1])
    alphas = dict(zip(declared, alpha_per_look(declared, ALPHA), strict=True))
    chances = {look: chance_of_decision(cell, look, alphas[look], 2 * alphas[look]) for look in left}
    strictest = {
        look: chance_of_decision(cell, look, alphas[look] / cell.p.num_tests, 2 * alphas[look]) for look in left
    }
    likely = next((look for look in left if strictest[look] >= _EVEN), left[-1])
    best = max(chances.values())
    return Outlook(test, own, _futile(cell, left[-1], best) if best < FUTILE_BELOW else "", chances, likely)


def _never(cell: CellVerdict) -> str:
    """Why no number of seeds can decide a test; '' if some may."""
    paired = cell.paired
    if paired.survivors_only:
        return "some of its trials ended without a value, and no verdict rests on the others alone"
    if cell.conclusion == "too few seeds":
        return f"only {cell.interval.n} of {cell.look.num_seeds} seeds have a value in every trial"
    if paired.may_be_smaller and paired.may_be_greater:
        return "some of its values are only bounds, which could overturn any verdict"
    return ""


def _futile(cell: CellVerdict, last: int, chance: float) -> str:
    if needs_more_seeds(cell.paired) and last < FEWEST_FOR_PERMUTATION:
        return f"an exact test decides it, which needs {FEWEST_FOR_PERMUTATION} seeds, and the last look is at {last}"
    return f"its chance of a decision by {last} seeds is {'' if chance < 0.01 else 'at most '}{percent(chance)}"


def percent(chance: float) -> str:
    """A chance as text."""
    return "below 1%" if chance < 0.01 else "above 99%" if chance > 0.99 else f"{chance:.0%}"
