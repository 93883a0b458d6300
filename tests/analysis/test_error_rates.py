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


# A fault shows in a share of all cells, and what a sound method may do wrong in a share of the studies: few studies of
# many cells tell them apart soonest. Under `slow` the same is asked of more studies.
MORE = pytest.mark.slow


@pytest.mark.parametrize("num_studies", [50, pytest.param(150, marks=MORE)])
@pytest.mark.parametrize(("num_seeds", "more"), simulation["POWER_AT"].items())
def test_a_claim_is_rarely_supported_at_delta_and_mostly_beyond(num_seeds, more, num_studies):
    delta, generator = simulation["DELTA"], np.random.default_rng(num_seeds)
    wrong, right = (
        simulation["share_supported"](effect, num_seeds, 1, (), num_studies, generator)
        for effect in (delta, delta + more)
    )
    assert binomtest(wrong, num_studies, 0.025, alternative="greater").pvalue > 0.001
    assert binomtest(right, num_studies, 0.8, alternative="less").pvalue > 0.001


@pytest.mark.parametrize("num_studies", [40, pytest.param(100, marks=MORE)])
def test_looks_make_no_claim_easier(num_studies):
    looked = simulation["share_supported"](
        simulation["DELTA"], 10, 1, (3, 5, 10), num_studies, np.random.default_rng(0)
    )
    assert binomtest(looked, num_studies, 0.025, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize(("num_studies", "num_cells"), [(10, 40), pytest.param(50, 16, marks=MORE)])
def test_cells_make_no_claim_easier(num_studies, num_cells):
    """Judged each at 0.025, cells would support a claim in 64% of the studies of 40 cells."""
    many = simulation["share_supported"](simulation["DELTA"], 3, num_cells, (), num_studies, np.random.default_rng(0))
    assert binomtest(many, num_studies, 0.05, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize(("num_studies", "num_cells"), [(6, 80), pytest.param(100, 16, marks=MORE)])
@pytest.mark.parametrize(
    "name", ["one of about three values", "an event in half of the trials", "a count of 1 a trial"]
)
def test_few_values_are_no_certainty(name, num_studies, num_cells):
    """Where differences without variance counted as certain, 10% to 22% of studies of 16 cells supported a claim."""
    draw, generator = simulation["EQUAL_ARMS"][name], np.random.default_rng(4)
    wrong = simulation["share_supported_of_equal_arms"](draw, 3, num_cells, num_studies, generator)
    assert binomtest(wrong, num_studies, 0.025, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize(("num_studies", "num_cells"), [(12, 12), pytest.param(60, 6, marks=MORE)])
def test_evidence_that_knows_nothing_rarely_contests(num_studies, num_cells):
    contested = simulation["share_contested"](4, num_cells, 2, num_studies, np.random.default_rng(0))
    assert binomtest(contested, num_studies, 0.05, alternative="greater").pvalue > 0.001
