import math

import numpy as np
import pytest
from scipy import stats

from skiplab.analysis.statistics.effect_size import hedges_g, probability_of_improvement
from skiplab.analysis.statistics.rates import exact_rate

A = np.random.default_rng(1).normal(1.0, 0.3, 7)
B = np.random.default_rng(2).normal(0.6, 0.8, 5)


def test_hedges_g_is_unbiased():
    # the mean of g over many samples is the true effect in standard deviations, of the plain quotient it is not
    samples = np.random.default_rng(0).normal(0.7, 1.0, (20_000, 5))
    corrected = np.mean([hedges_g(row) for row in samples])
    plain = (samples.mean(axis=1) / samples.std(axis=1, ddof=1)).mean()
    error = 4 * np.std([hedges_g(row) for row in samples]) / math.sqrt(len(samples))
    assert abs(corrected - 0.7) < error
    assert abs(plain - 0.7) > error


def test_hedges_correction_by_its_usual_approximation():
    g, d = hedges_g(A), A.mean() / A.std(ddof=1)
    assert g / d == pytest.approx(1 - 3 / (4 * 6 - 1), rel=2e-3)  # Hedges 1981, after eq. 6e


def test_two_seeds_and_equal_ones_have_no_effect_size():
    assert math.isnan(hedges_g([0.1, 0.2]))
    assert math.isnan(hedges_g([0.3, 0.3, 0.3]))


def test_probability_of_improvement_is_mann_whitneys_u_over_all_pairs():
    tied = np.append(B, A[:2])
    expected = stats.mannwhitneyu(A, tied).statistic / (len(A) * len(tied))
    assert probability_of_improvement(A, tied) == pytest.approx(expected)
    assert probability_of_improvement([1, 2], [1, 2]) == 0.5
    assert math.isnan(probability_of_improvement([], [1.0]))


@pytest.mark.parametrize(("count", "n"), [(0, 3), (1, 5), (5, 5), (17, 40)])
def test_rates_are_scipys_exact_ones(count, n):
    expected = stats.binomtest(count, n).proportion_ci(0.95, method="exact")
    rate = exact_rate(count, n)
    assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high))


def test_a_rate_of_nothing_has_no_interval():
    assert math.isnan(exact_rate(0, 0).low)
