"""Verdicts on events and counts: what few seeds and few events can't decide."""

import math
from dataclasses import asdict
from functools import partial

import numpy as np
import pytest
from scipy import stats

from skiplab.analysis.claims.cell_verdicts import decided_by
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.contrasts import slopes
from skiplab.analysis.claims.seeds_of_rates import seeds_that_decide_rates
from skiplab.analysis.claims.verdict_text import cell_line
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.statistics.rates import count_rate, event_rate, weighted_sum
from skiplab.analysis.study.study import read_study
from skiplab.metrics import Metric

METRICS = {
    "diverged": Metric(label="diverged", direction="lower", scale="bounded", kind="event", if_diverged=1.0),
    "spikes": Metric(label="spikes in 1,000 steps", direction="lower", kind="count", exposure="thousand_steps"),
    "thousand_steps": Metric(label="steps in thousands", direction=None),
}
CLAIM = """\
factor: connection
control: plain
treatment: identity
claims:
  - {{name: c, text: t, metric: {metric}, contrast: difference, direction: {direction}, smallest_effect: {least}}}
"""


def cell_of(runs, claims_file, plain, identity, *, metric, steps=1.0, direction="lower", least=0.1):
    """The verdict on two arms whose seeds have these values."""
    metrics = {name: asdict(METRICS[name]) for name in (metric, "thousand_steps")}
    for arm, values in (("plain", plain), ("identity", identity)):
        for seed, value in enumerate(values):
            summary = {metric: value, "thousand_steps": steps}
            runs.trial(seed=seed, choices={"connection": arm}, summary=summary, metrics=metrics)
    claims = read_claims(claims_file(CLAIM.format(metric=metric, direction=direction, least=least)))
    return judge(read_study("s", runs.folder), claims)[0].cells[0].parts[0]


@pytest.mark.parametrize(("num_seeds", "word"), [(5, "inconclusive"), (6, "supported")])
def test_events_in_every_seed_of_one_arm_decide_from_six_seeds_on(runs, claims_file, num_seeds, word):
    cell = cell_of(runs, claims_file, [1.0] * num_seeds, [0.0] * num_seeds, metric="diverged")
    assert cell.conclusion == word
    if num_seeds == 6:
        assert cell.p.supported == pytest.approx(2**-6)
        lowest = 1 - math.hypot(1 - 0.025 ** (1 / 6), 1 - 0.025 ** (1 / 6))  # both arms' exact ends
        assert (cell.interval.mean, cell.interval.low) == pytest.approx((1.0, lowest))


def test_arms_without_an_event_are_not_equal_for_that(runs, claims_file):
    """Six seeds without an event leave a rate of up to 1 - .025^(1/6) open."""
    cell = cell_of(runs, claims_file, [0.0] * 6, [0.0] * 6, metric="diverged")
    assert cell.conclusion == "inconclusive"
    assert cell.interval.high == pytest.approx(1 - 0.025 ** (1 / 6))
    assert (
        cell_of(runs, claims_file, [0.0] * 40, [0.0] * 40, metric="diverged").conclusion == "no meaningful difference"
    )


@pytest.mark.parametrize(("num_seeds", "word"), [(28, "inconclusive"), (29, "no meaningful difference")])
def test_as_many_seeds_as_are_said_to_decide_decide(runs, claims_file, num_seeds, word):
    """Of arms without an event: as many as leave a rate of 0.1 with a chance of 5%."""
    cell = cell_of(runs, claims_file, [0.0] * num_seeds, [0.0] * num_seeds, metric="diverged")
    assert cell.conclusion == word
    assert cell.seeds == ((29, 29) if word == "inconclusive" else None)
    assert 0.9**29 < 0.05 < 0.9**28


def test_more_tests_need_more_seeds(runs, claims_file):
    cell = cell_of(runs, claims_file, [1.0, 0.0] * 3, [0.0] * 6, metric="diverged")
    alone, of_many = cell.seeds.low, seeds_that_decide_rates(cell.paired, partial(decided_by, cell.test), 20).high
    for num_seeds, num_tests, decided in ((alone - 1, 1, False), (alone, 1, True), (of_many, 20, True)):
        half = event_rate(num_seeds / 2, num_seeds, 1 - 0.05 / num_tests)
        none = event_rate(0, num_seeds, 1 - 0.05 / num_tests)
        assert (weighted_sum([(1, half), (-1, none)]).low > 0.1) == decided
    assert alone < of_many


def test_that_nothing_gets_worse_takes_other_seeds_than_that_something_gets_better(runs, claims_file):
    """Half of the treatment's trials have an event and none of the control's: as many seeds as put the rest below 1."""
    values = {"plain": [0.0] * 6, "identity": [1.0, 0.0] * 3}
    better = cell_of(runs, claims_file, **values, metric="diverged", direction="lower")
    no_worse = cell_of(runs, claims_file, **values, metric="diverged", direction="not_higher")
    assert better.conclusion == no_worse.conclusion == "inconclusive"
    assert better.seeds == no_worse.seeds  # contradicted by the same interval
    few = cell_of(runs, claims_file, [1.0] + [0.0] * 5, [0.0] * 6, metric="diverged", direction="not_higher")
    low = next(n for n in range(6, 1000) if rest(n, 0.95) > -0.1)
    assert few.seeds.low == low


def rest(num_seeds: int, level: float) -> float:
    """The lower end of the advantage of an arm without an event over one that has one in each six seeds."""
    rates = [(-1, event_rate(0, num_seeds, level)), (1, event_rate(num_seeds / 6, num_seeds, level))]
    return weighted_sum(rates).low


def test_no_number_of_seeds_decides_what_takes_thousands(runs, claims_file):
    cell = cell_of(runs, claims_file, [0.0] * 6, [0.0] * 6, metric="spikes", steps=1e-3, least=1.0)
    assert cell.seeds == (None, None)


@pytest.mark.parametrize(
    ("num_seeds", "steps", "word"), [(5, 0.12, "inconclusive"), (6, 1.0, "no meaningful difference")]
)
def test_no_spike_in_few_steps_says_little(runs, claims_file, num_seeds, steps, word):
    cell = cell_of(runs, claims_file, [0.0] * num_seeds, [0.0] * num_seeds, metric="spikes", steps=steps, least=1.0)
    assert cell.conclusion == word
    assert cell.interval.high == pytest.approx(-math.log(0.025) / (num_seeds * steps))
    assert cell_line(cell).n == f"{num_seeds}"


def test_no_spike_in_600_steps_leaves_five_in_1000_open():
    rate = count_rate(0, 0.6, level=0.9)
    assert (rate.value, rate.low) == (0.0, 0.0)
    assert rate.high == pytest.approx(-math.log(0.05) / 0.6)  # 4.99


def test_the_interval_of_a_count_is_scipys_exact_one():
    for count in (0, 1, 7, 40):
        rate = count_rate(count, 2.0)
        low = stats.chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
        assert (rate.low, rate.high) == pytest.approx((low / 2, stats.chi2.ppf(0.975, 2 * count + 2) / 2 / 2))


def test_the_interval_of_a_difference_is_rarely_too_narrow():
    """Over draws of two arms, it holds the true difference at least as often as it says, within the draws' error."""
    generator = np.random.default_rng(0)
    for rates in ((0.5, 0.5), (4.0, 2.0), (0.1, 3.0)):
        drawn = generator.poisson(rates, (2000, 2))
        held = 0
        for treatment, control in drawn:
            found = weighted_sum([(1.0, count_rate(int(treatment), 1.0)), (-1.0, count_rate(int(control), 1.0))])
            held += found.low <= rates[0] - rates[1] <= found.high
        assert held / 2000 > 0.95 - 3 * math.sqrt(0.05 * 0.95 / 2000)
    for p, q in ((0.5, 0.5), (0.05, 0.3), (0.9, 0.1)):
        drawn = generator.binomial(8, (p, q), (2000, 2))
        held = 0
        for treatment, control in drawn:
            found = weighted_sum([(1.0, event_rate(int(treatment), 8)), (-1.0, event_rate(int(control), 8))])
            held += found.low <= p - q <= found.high
        assert held / 2000 > 0.95 - 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_the_interval_of_a_weighted_sum_is_rarely_too_narrow():
    """The slope of a rate over three levels, drawn from rates that rise and ones that lie at the end of their range."""
    generator, weights = np.random.default_rng(1), (-0.5, 0.0, 0.5)
    for rates in ((0.2, 0.4, 0.9), (0.0, 0.05, 0.1)):
        true, held = sum(weight * rate for weight, rate in zip(weights, rates, strict=True)), 0
        for drawn in generator.binomial(10, rates, (1000, 3)):
            found = weighted_sum([(w, event_rate(int(count), 10)) for w, count in zip(weights, drawn, strict=True)])
            held += found.low <= true <= found.high
        assert held / 1000 > 0.95 - 3 * math.sqrt(0.05 * 0.95 / 1000)


def test_more_spikes_are_found_in_the_claimed_direction_alone(runs, claims_file):
    plain, identity = [9.0, 12.0, 10.0, 8.0, 11.0, 9.0], [1.0, 0.0, 2.0, 1.0, 0.0, 1.0]
    assert cell_of(runs, claims_file, plain, identity, metric="spikes", least=1.0).conclusion == "supported"
    assert (
        cell_of(runs, claims_file, plain, identity, metric="spikes", direction="higher", least=1.0).conclusion
        == "contradicted"
    )


def test_equal_values_have_a_slope_of_exactly_zero(runs):
    for depth in (4, 8, 16, 128):
        for seed, value in enumerate((0.1, 0.2, 0.3, 0.7)):
            runs.trial(seed=seed, factors={"depth": depth}, summary={"skill_train": value})
    rows = read_study("s", runs.folder).trials.assign(value=lambda trials: trials["skill_train"])
    for levels in ((4, 8, 16), (4, 16, 128)):
        assert list(slopes(rows.loc[rows["depth"].isin(levels)], "depth", levels)) == [0.0] * 4
