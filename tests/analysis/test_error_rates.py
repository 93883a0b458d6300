"""The rates of docs/statistics.md, with fewer studies; benchmarks/error_rates.py has them all."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

simulation = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "error_rates.py"))


@pytest.mark.parametrize("num_seeds", [3, 5, 10])
def test_the_interval_covers_gaussian_differences_as_it_says(num_seeds):
    draw = simulation["DIFFERENCES"]["Gaussian"]
    share = simulation["coverage"](draw, num_seeds, 2000, np.random.default_rng(num_seeds))
    assert 0.93 <= share <= 0.97


def test_it_covers_less_where_one_seed_in_ten_collapses():
    draw = simulation["DIFFERENCES"]["bimodal, one seed in ten collapses"]
    assert simulation["coverage"](draw, 3, 2000, np.random.default_rng(0)) < 0.9


@pytest.mark.parametrize(("num_seeds", "more"), simulation["POWER_AT"].items())
def test_a_claim_is_rarely_supported_at_delta_and_mostly_beyond(num_seeds, more):
    num_studies, delta = 150, simulation["DELTA"]
    generator = np.random.default_rng(num_seeds)
    wrong, right = (
        simulation["share_supported"](effect, num_seeds, 1, (), num_studies, generator)
        for effect in (delta, delta + more)
    )
    assert binomtest(wrong, num_studies, 0.025, alternative="greater").pvalue > 0.001
    assert binomtest(right, num_studies, 0.8, alternative="less").pvalue > 0.001


def test_looks_and_cells_make_no_claim_easier():
    delta, generator = simulation["DELTA"], np.random.default_rng(0)
    looked = simulation["share_supported"](delta, 10, 1, (3, 5, 10), 100, generator)
    many_cells = simulation["share_supported"](delta, 3, 16, (), 50, generator)
    assert binomtest(looked, 100, 0.025, alternative="greater").pvalue > 0.001
    assert binomtest(many_cells, 50, 0.05, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize(
    "name", ["one of about three values", "an event in half of the trials", "a count of 1 a trial"]
)
def test_few_values_are_no_certainty(name):
    """Where differences without variance counted as certain, 10% to 22% of such studies supported a claim."""
    draw, generator = simulation["EQUAL_ARMS"][name], np.random.default_rng(0)
    wrong = simulation["share_supported_of_equal_arms"](draw, 3, 16, 100, generator)
    assert binomtest(wrong, 100, 0.025, alternative="greater").pvalue > 0.001


def test_evidence_that_knows_nothing_rarely_contests():
    contested = simulation["share_contested"](4, 6, 2, 60, np.random.default_rng(0))
    assert binomtest(contested, 60, 0.05, alternative="greater").pvalue > 0.001
