import itertools
import math

import numpy as np
import pytest
from scipy import stats

from skiplab.analysis.statistics.resampling import bootstrap_interval, permutation_p

VALUES = np.random.default_rng(3).exponential(size=12) - 0.2


def generator():
    return np.random.default_rng(5)


def test_permutation_p_counts_the_signs():
    values = VALUES[:7]
    for margin in (0.0, 0.3):
        shifted = values - margin
        means = [np.mean(shifted * signs) for signs in itertools.product((-1, 1), repeat=7)]
        expected = np.mean(np.array(means) >= shifted.mean() - 1e-12)
        assert permutation_p(values, margin) == pytest.approx(expected)


def test_the_bootstrap_is_near_a_percentile_one_of_its_own_and_asymmetric():
    draws = np.random.default_rng(6).choice(VALUES, (20_000, len(VALUES))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    found = bootstrap_interval(VALUES, generator())
    width = high - low
    assert abs(found.low - low) < 0.25 * width
    assert abs(found.high - high) < 0.25 * width
    assert found.high - found.mean > found.mean - found.low  # the data are skewed to the right
    assert found == bootstrap_interval(VALUES, generator())


def test_its_interval_is_scipys():
    expected = stats.bootstrap((VALUES,), np.mean, n_resamples=9999, method="BCa", rng=generator())
    assert bootstrap_interval(VALUES, generator())[1:3] == pytest.approx(expected.confidence_interval)


def test_too_few_seeds_have_neither():
    assert bootstrap_interval(VALUES[:9], generator()) is None
    assert bootstrap_interval([0.1] * 10, generator()) is None
    assert math.isnan(permutation_p(VALUES[:5], 0.0))
    assert math.isnan(permutation_p(np.append(VALUES[:5], np.nan), 0.0))


def test_random_signs_are_near_the_t_test_and_never_zero():
    values = np.random.default_rng(4).standard_normal(20) + 0.4
    expected = stats.ttest_1samp(values, 0.0, alternative="greater").pvalue
    assert permutation_p(values, 0.0) == pytest.approx(expected, rel=0.2)
    assert permutation_p(np.full(20, 9.0), 0.0) == pytest.approx(1e-5)


def test_differences_of_exactly_the_margin_do_not_exceed_it():
    """.72 - .70 is .02 but for rounding, by which it lay above .02 in each of eight seeds."""
    assert permutation_p(np.full(8, 0.72 - 0.70), 0.02) == 1.0
    assert permutation_p(np.full(6, 0.75 - 0.72), 0.02) == 1 / 64
