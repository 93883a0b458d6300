"""How many seeds would decide: as many as a verdict takes, whichever way a claim points."""

import itertools
import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from skiplab.analysis.claims.cell_verdicts import decided_by
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.statistics.intervals import paired_interval
from skiplab.analysis.statistics.sample_size import seeds_that_decide
from skiplab.analysis.study.study import read_study
from skiplab.metrics import Metric

METRIC = asdict(Metric(label="loss", direction="lower"))
CLAIM = """\
factor: connection
control: plain
treatment: identity
claims:
  - {{name: c, text: t, metric: m, direction: {direction}, smallest_effect: 0.1, {what}}}
"""
OF_BOTH = "contrast: difference, cells: {depth: [8]}"
OF_ONE = "contrast: slope, over: depth, arm: identity, expected: 0"  # per doubling: as much as at 8 blocks
DIRECTIONS = ("higher", "lower", "not_lower", "not_higher", "equal")


def cells_of(runs, claims_file, values):
    """The verdict on a claim of each direction: residual networks of 8 blocks have these values, all others 0."""
    for seed, value in enumerate(values):
        for arm, depth in itertools.product(("plain", "identity"), (4, 8)):
            summary = {"m": float(value) if (arm, depth) == ("identity", 8) else 0.0}
            choices, factors = {"connection": arm}, {"depth": depth}
            runs.trial(seed=seed, choices=choices, factors=factors, summary=summary, metrics={"m": METRIC})
    study = read_study("s", runs.folder)
    for direction in DIRECTIONS:
        claim = CLAIM.format(direction=direction, what=OF_ONE if direction == "equal" else OF_BOTH)
        (verdict,) = judge(study, read_claims(claims_file(claim)))
        yield direction, verdict.cells[0].parts[0]


def sample(n, mean, sd):
    values = np.random.default_rng(n).normal(size=n)
    return mean + sd * (values - values.mean()) / values.std(ddof=1)


@pytest.mark.parametrize("n", [5, 12])
@pytest.mark.parametrize("mean", [-0.3, -0.2, -0.13, -0.1, -0.06, 0.0, 0.06, 0.1, 0.13, 0.2, 0.3])
def test_what_decides_is_what_a_verdict_takes(runs, claims_file, n, mean):
    for _, cell in cells_of(runs, claims_file, sample(n, mean, 0.1)):
        ends = {level: paired_interval(cell.paired.advantage, level)[1:3] for level in (0.9, 0.95, 0.975)}
        decided = decided_by(cell.test, ends.__getitem__, alpha=0.025)
        assert decided == (cell.conclusion != "inconclusive")


def test_as_many_seeds_as_are_said_to_decide_decide(runs, claims_file):
    """Of 5 seeds with a mean of 0.06: a claim that nothing gets lower is decided long before one that it is higher."""
    low = {direction: cell.seeds.low for direction, cell in cells_of(runs, claims_file, sample(5, 0.06, 0.2))}
    sd = 0.2 * math.sqrt(4 / stats.chi2.ppf(0.9, 4))

    def error(n, alpha):
        return stats.t.ppf(1 - alpha, n - 1) * sd / math.sqrt(n)

    needed = {
        "higher": lambda n: 0.06 + error(n, 0.05) < 0.1,
        "lower": lambda n: 0.06 + error(n, 0.05) < 0.1,
        "not_lower": lambda n: 0.06 - error(n, 0.025) > -0.1,
        "not_higher": lambda n: 0.06 + error(n, 0.025) < 0.1,
        "equal": lambda n: 0.06 + error(n, 0.025) < 0.1,
    }
    for direction, decides in needed.items():
        assert low[direction] == next(n for n in range(6, 1000) if decides(n)), direction
    assert low["not_lower"] < low["higher"] < low["not_higher"]


def test_the_upper_estimate_takes_a_greater_spread_and_all_tests():
    def above(interval, alpha):
        return interval(1 - 2 * alpha)[0] > 0.1

    low, high = seeds_that_decide(paired_interval(sample(5, 0.5, 1.0)), above, num_tests=4)
    for n, quantile, alpha in ((low, 0.9, 0.025), (high, 0.1, 0.025 / 4)):
        sd = math.sqrt(4 / stats.chi2.ppf(quantile, 4))
        ends = [0.5 - stats.t.ppf(1 - alpha, each - 1) * sd / math.sqrt(each) for each in (n - 1, n)]
        assert ends[0] < 0.1 < ends[1]


def test_a_mean_at_the_margin_is_never_decided(runs, claims_file):
    cells = dict(cells_of(runs, claims_file, [0.0, 0.1, 0.2]))
    assert cells["higher"].seeds == cells["not_higher"].seeds == cells["equal"].seeds == (None, None)
