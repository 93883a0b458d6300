"""Chances of a decision against simulated continuations of the same study."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from skiplab.analysis.claims.contrasts import Events
from skiplab.analysis.statistics.intervals import Interval, paired_interval
from skiplab.analysis.statistics.rates import RateEstimate, count_rate, event_rate, weighted_sum
from skiplab.deciding.chance import chance_of_decision

ALPHA = 0.01


def cell(
    interval: Interval,
    margin: float,
    direction: str = "higher",
    *,
    smaller: bool = False,
    greater: bool = False,
    events: Any = None,
    kind: str = "continuous",
) -> Any:
    """What the chance looks at of a verdict."""
    sign = -1.0 if direction in ("lower", "not_higher") else 1.0
    return SimpleNamespace(
        interval=interval,
        paired=SimpleNamespace(
            events=events, may_be_smaller=smaller, may_be_greater=greater, metric=SimpleNamespace(kind=kind)
        ),
        test=SimpleNamespace(
            margin=margin, contrast=SimpleNamespace(direction=direction, claimed_sign=sign, of_one_arm=False)
        ),
    )


def simulated(mean: float, sd: float, n: int, num_seeds: int, margin: float, direction: str, sides: str) -> float:
    """The fraction of continuations, from the posterior under a flat prior, whose final mean decides."""
    generator, draws = np.random.default_rng(0), 100_000
    true_sd = sd * np.sqrt((n - 1) / generator.chisquare(n - 1, draws))
    true_mean = mean + true_sd / np.sqrt(n) * generator.standard_normal(draws)
    further = num_seeds - n
    added = true_mean + true_sd / np.sqrt(further) * generator.standard_normal(draws)
    final, error = (n * mean + further * added) / num_seeds, sd / np.sqrt(num_seeds)
    bound = -margin if direction.startswith("not") else margin
    supported = stats.t.sf((final - bound) / error, num_seeds - 1) <= ALPHA
    contradicted = stats.t.cdf((final + margin) / error, num_seeds - 1) <= ALPHA
    above, below = ((final + side) / error for side in (margin, -margin))
    equivalent = np.maximum(stats.t.sf(above, num_seeds - 1), stats.t.cdf(below, num_seeds - 1)) < 2 * ALPHA
    found = {"supported": supported, "contradicted": contradicted, "equivalent": equivalent}
    return float(np.any([found[side] for side in sides.split()], axis=0).mean())


@pytest.mark.parametrize(
    ("mean", "margin", "direction", "sides"),
    [
        (0.9, 0.5, "higher", "supported contradicted equivalent"),
        (0.5, 0.5, "lower", "supported contradicted equivalent"),
        (0.1, 1.2, "higher", "supported contradicted equivalent"),
        (-0.6, 0.0, "higher", "supported contradicted"),
        (-0.1, 0.4, "not_lower", "supported contradicted"),
    ],
)
def test_a_mean_decides_as_often_as_its_continuations_do(
    mean: float, margin: float, direction: str, sides: str
) -> None:
    interval = Interval(mean, np.nan, np.nan, 1.0, 6, False)
    found = chance_of_decision(cell(interval, margin, direction), 20, ALPHA, 2 * ALPHA)
    assert found == pytest.approx(simulated(mean, 1.0, 6, 20, margin, direction, sides), abs=0.007)
    assert 0.02 < found < 0.98


def test_bounds_leave_only_the_side_that_they_cannot_overturn() -> None:
    interval = Interval(0.9, np.nan, np.nan, 1.0, 6, False)
    found = chance_of_decision(cell(interval, 0.5, greater=True), 20, ALPHA, 2 * ALPHA)
    assert found == pytest.approx(simulated(0.9, 1.0, 6, 20, 0.5, "higher", "supported"), abs=0.007)
    found = chance_of_decision(cell(interval, 0.5, smaller=True), 20, ALPHA, 2 * ALPHA)
    assert found == pytest.approx(simulated(0.9, 1.0, 6, 20, 0.5, "higher", "contradicted"), abs=0.002)


def test_equal_to_is_decided_inside_and_outside() -> None:
    generator = np.random.default_rng(1)
    final = 0.3 + 0.5 * np.sqrt(1 / 6 - 1 / 20) * generator.standard_t(5, 200_000)
    error = 0.5 / np.sqrt(20)
    inside = np.abs(final) < 0.4 - stats.t.isf(ALPHA, 19) * error
    outside = np.abs(final) > 0.4 + stats.t.isf(ALPHA / 2, 19) * error
    interval = Interval(0.3, np.nan, np.nan, 0.5, 6, False)
    found = chance_of_decision(cell(interval, 0.4, "equal"), 20, ALPHA, 2 * ALPHA)
    assert found == pytest.approx(float((inside | outside).mean()), abs=0.005)


def test_equal_seeds_are_decided_once_an_exact_test_can_be() -> None:
    constant = cell(paired_interval([0.5, 0.5, 0.5]), 0.1)
    assert chance_of_decision(constant, 5, ALPHA, 2 * ALPHA) == 0.0
    assert chance_of_decision(constant, 10, ALPHA, 2 * ALPHA) == 1.0


def share_decided(
    events: Sequence[Events], num_seeds: int, tails: Sequence[float], decides: Callable[..., bool], seed: int
) -> float:
    """The share of 4,000 continuations to so many seeds that are decided, by their intervals at these tails."""
    generator, draws = np.random.default_rng(seed), 4000
    final = []
    for each in events:
        rate = generator.beta(each.num + 0.5, each.exposure - each.num + 0.5, draws)
        final.append(each.num + generator.binomial(num_seeds - int(each.exposure), rate))
    weights = [each.weight for each in events]
    decided = 0
    for counts in zip(*final, strict=True):
        pairs = list(zip(weights, counts, strict=True))
        decided += decides(
            *(weighted_sum([(w, event_rate(int(k), num_seeds, 1 - 2 * tail)) for w, k in pairs]) for tail in tails)
        )
    return decided / draws


@pytest.mark.parametrize(("control", "treatment", "margin"), [(4, 0, 0.1), (0, 0, 0.3), (3, 2, 0.0)])
def test_events_decide_as_often_as_their_continuations_do(control: int, treatment: int, margin: float) -> None:
    """Fewer events in the treatment are in the claim's favor."""
    n, num_seeds = 5, 20
    events = (Events(control, n, 1.0), Events(treatment, n, -1.0))
    interval = Interval((control - treatment) / n, np.nan, np.nan, 0.5, n, False)
    found = chance_of_decision(
        cell(interval, margin, "lower", events=events, kind="event"), num_seeds, ALPHA, 2 * ALPHA
    )

    def decides(outer: RateEstimate, inner: RateEstimate) -> bool:
        return outer.low > margin or outer.high < -margin or (-margin < inner.low and inner.high < margin)

    assert found == pytest.approx(share_decided(events, num_seeds, (ALPHA, 2 * ALPHA), decides, seed=2), abs=0.03)
    assert 0.01 < found < 0.99


@pytest.mark.parametrize(("few", "many", "num_seeds"), [(0, 0, 40), (1, 4, 20)])
def test_rates_are_equal_inside_the_smallest_effect_and_unequal_outside(few: int, many: int, num_seeds: int) -> None:
    """Of an arm's events at two depths: the rate doesn't change, or does."""
    n, margin = 5, 0.3
    events = (Events(few, n, -1.0), Events(many, n, 1.0))
    interval = Interval((many - few) / n, np.nan, np.nan, 0.5, n, False)
    found = chance_of_decision(
        cell(interval, margin, "equal", events=events, kind="event"), num_seeds, ALPHA, 2 * ALPHA
    )

    def decides(inner: RateEstimate, outer: RateEstimate) -> bool:
        return (-margin < inner.low and inner.high < margin) or outer.low > margin or outer.high < -margin

    assert found == pytest.approx(share_decided(events, num_seeds, (ALPHA, ALPHA / 2), decides, seed=4), abs=0.03)
    assert 0.1 < found < 0.99


def test_many_terms_are_drawn_and_few_are_counted_out(monkeypatch: pytest.MonkeyPatch) -> None:
    events = (Events(3, 5, 1.0), Events(1, 5, -1.0))
    some = cell(Interval(0.4, np.nan, np.nan, 0.5, 5, False), 0.1, "lower", events=events, kind="event")
    exact = chance_of_decision(some, 30, ALPHA, 2 * ALPHA)
    assert 0.05 < exact < 0.95
    monkeypatch.setattr("skiplab.deciding.chance_of_rates._MOST_FOR_ALL", 600)
    drawn = chance_of_decision(some, 30, ALPHA, 2 * ALPHA)
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=3 * (0.25 / 600) ** 0.5)


def test_counts_are_predicted_by_their_exposure() -> None:
    """No spike in 5,000 steps of each arm; that both have fewer than 0.1 in 1,000 steps is decided by 35,000 more.

    That one arm has none has the chance √(5 / 40), and that neither has any 5 / 40; many in one arm decide too.
    """
    events = (Events(0, 5.0, 1.0), Events(0, 5.0, -1.0))
    none = cell(Interval(0.0, np.nan, np.nan, 0.0, 5, True), 0.1, "lower", events=events, kind="count")
    assert chance_of_decision(none, 10, ALPHA, 2 * ALPHA) < 0.3

    generator, draws = np.random.default_rng(3), 4000
    final = generator.poisson(35 * generator.gamma(0.5, 1 / 5, (2, draws)))
    decided = 0
    for pair in final.T:
        at = [
            weighted_sum([(w, count_rate(int(k), 40.0, 1 - 2 * tail)) for w, k in zip((1, -1), pair, strict=True)])
            for tail in (ALPHA, 2 * ALPHA)
        ]
        beyond = at[0].low > 0.1 or at[0].high < -0.1
        decided += beyond or (at[1].low > -0.1 and at[1].high < 0.1)
    found = chance_of_decision(none, 40, ALPHA, 2 * ALPHA)
    assert found == pytest.approx(decided / draws, abs=0.03)
    assert found > 5 / 40
