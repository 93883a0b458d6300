"""Which points a test needs, and when it stops."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from skiplab.analysis.claims.ladder import OpenTest
from skiplab.analysis.statistics.intervals import Interval
from skiplab.deciding.ladder_sweep import Point
from skiplab.deciding.needed_points import is_at, needed_points
from skiplab.deciding.outlook import outlook

LOOKS = (5, 10, 20)
POINTS = [
    Point((f"connection={arm}", f"depth={depth}"), SimpleNamespace(), {"connection": arm, "depth": depth})
    for arm in ("plain", "identity", "scaled")
    for depth in (4, 8)
]


def verdict(mean: float = 0.1, sd: float = 0.1, n: int = 5, **changes: Any) -> Any:
    """What the outlook looks at of a verdict."""
    paired = {
        "survivors_only": False,
        "may_be_smaller": False,
        "may_be_greater": False,
        "events": None,
        "is_paired": True,
        "advantage": mean + sd * np.arange(n),
    }
    own = {
        "interval": Interval(mean, np.nan, np.nan, sd, n, False),
        "conclusion": "inconclusive",
        "look": SimpleNamespace(num_seeds=5),
        "p": SimpleNamespace(num_tests=4),
        "cell": {"depth": 4},
        "test": SimpleNamespace(margin=0.05, contrast=SimpleNamespace(direction="higher", claimed_sign=1.0)),
    }
    own |= {name: value for name, value in changes.items() if name in own}
    paired |= {name: value for name, value in changes.items() if name in paired}
    return SimpleNamespace(**own, paired=SimpleNamespace(**paired))


def open_test(given: Any = None, next_look: int = 10, **levels: Any) -> OpenTest:
    trials = tuple({"connection": arm, **levels} for arm in levels.pop("arms", ("plain", "identity")))
    return OpenTest(claim="c", says="s", verdict=given or verdict(), next_look=next_look, trials=trials)


def stops(given: OpenTest, affordable: tuple[int, ...] = LOOKS) -> str:
    return outlook(given, POINTS, LOOKS, affordable).stops


def test_a_difference_needs_both_arms_in_its_cell() -> None:
    assert [point.words for point in needed_points(open_test(depth=4), POINTS)] == [
        ("connection=plain", "depth=4"),
        ("connection=identity", "depth=4"),
    ]


def test_what_no_claim_names_is_at_any_level() -> None:
    assert len(needed_points(open_test(arms=("plain",)), POINTS)) == 2


@pytest.mark.parametrize(
    ("levels", "wanted", "expected"),
    [
        ({"lr": 0.001}, {"lr": "0.001"}, True),
        ({"depth": 4}, {"depth": 4.0}, True),
        ({"depth": 4}, {"depth": "8"}, False),
        ({"clip": None}, {"clip": float("nan")}, True),
        ({}, {"connection.factor": float("nan")}, True),
        ({"affine": True}, {"affine": "true"}, True),
        ({"connection": "scaled", "connection.factor": 0.5}, {"connection": "scaled", "connection.factor": 0.7}, False),
        ({"betas": "[0.9, 0.95]"}, {"betas": "[0.9, 0.95]"}, True),
    ],
)
def test_levels_are_compared_as_the_analysis_names_them(levels: dict, wanted: dict, expected: bool) -> None:
    assert is_at(levels, wanted) == expected


def test_trials_that_the_sweep_lacks() -> None:
    reason = stops(open_test(depth=16))
    assert reason == "it needs trials that the sweep doesn't have: connection plain, depth 16 and 1 more"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"survivors_only": True}, "ended without a value, and no verdict rests on the others alone"),
        ({"conclusion": "too few seeds", "n": 4}, "only 4 of 5 seeds have a value in every trial"),
        ({"may_be_smaller": True, "may_be_greater": True}, "only bounds"),
        ({"mean": 0.05, "sd": 3.0, "n": 10}, "its chance of a decision by 20 seeds is at most 3%"),
    ],
)
def test_no_seeds_can_decide(changes: dict[str, Any], reason: str) -> None:
    assert reason in stops(open_test(verdict(**changes), next_look=20, depth=4))


def test_after_few_seeds_the_same_spread_leaves_a_chance() -> None:
    """The mean of five seeds may still be far from the true one."""
    assert not stops(open_test(verdict(mean=0.05, sd=3.0), depth=4))


def test_few_seeds_that_hardly_differ_can_not_be_told_from_an_exact_test() -> None:
    equal = verdict(interval=Interval(0.5, 0.5, 0.5, 0.0, 3, True), advantage=np.full(3, 0.5))
    given = outlook(open_test(equal, next_look=5, depth=4), POINTS, (3, 5), (3, 5))
    assert given.stops == "an exact test decides it, which needs 6 seeds, and the last look is at 5"
    assert not outlook(open_test(equal, next_look=10, depth=4), POINTS, (3, 10), (3, 10)).stops


def test_a_test_above_the_most_seeds() -> None:
    assert (
        stops(open_test(verdict(), next_look=20, depth=4), (5, 10))
        == "its next look, at 20 seeds, is above --max-seeds"
    )


def test_a_test_with_a_chance_goes_on_to_its_likely_look() -> None:
    given = outlook(open_test(verdict(mean=0.15, sd=0.1), depth=4), POINTS, LOOKS, LOOKS)
    assert not given.stops
    assert 0 < given.chances[10] < given.chances[20] < 1
    assert given.likely == 20
    sure = outlook(open_test(verdict(mean=0.3, sd=0.05), depth=4), POINTS, LOOKS, LOOKS)
    assert sure.likely == 10


def test_before_its_first_look_a_test_goes_on() -> None:
    early = verdict(conclusion="too few seeds", n=2)
    assert not stops(open_test(early, next_look=5, depth=8))
