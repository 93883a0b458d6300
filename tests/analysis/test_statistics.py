import math

import numpy as np
import pytest
from scipy import stats

from skiplab.analysis.statistics.effect_size import correlation
from skiplab.analysis.statistics.intervals import paired_interval, welch_interval
from skiplab.analysis.statistics.sample_size import seeds_that_decide
from skiplab.analysis.statistics.significance import holm, p_above, p_below

A = np.random.default_rng(1).normal(1.0, 0.3, 7)
B = np.random.default_rng(2).normal(0.6, 0.8, 7)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_paired_interval_is_scipys(level):
    expected = stats.ttest_rel(A, B).confidence_interval(level)
    interval = paired_interval(A - B, level)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert (interval.mean, interval.sd, interval.n) == pytest.approx(((A - B).mean(), (A - B).std(ddof=1), 7))


@pytest.mark.parametrize("margin", [-0.5, 0.0, 0.3])
def test_one_sided_p_values_are_scipys(margin):
    assert p_above(A - B, margin) == pytest.approx(stats.ttest_1samp(A - B, margin, alternative="greater").pvalue)
    assert p_below(A - B, margin) == pytest.approx(stats.ttest_1samp(A - B, margin, alternative="less").pvalue)


def test_welch_interval_is_scipys():
    expected = stats.ttest_ind(A, B[:4], equal_var=False).confidence_interval(0.95)
    interval = welch_interval(A, B[:4])
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_correlation_is_scipys_over_the_seeds_that_both_arms_have():
    a = A.copy()
    a[2] = np.nan
    assert correlation(a, B) == pytest.approx(stats.pearsonr(np.delete(A, 2), np.delete(B, 2)).statistic)
    assert math.isnan(correlation(A, np.ones(7)))


def test_holm_by_hand():
    # sorted .01 .02 .03 .04 times 4 3 2 1 is .04 .06 .06 .04; never below the one before
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_equal_differences_are_tested_by_their_signs():
    interval = paired_interval([0.1 + 0.2, 0.3, 0.3])
    assert interval.constant
    assert interval.low == interval.high == interval.mean
    assert (p_above([0.3] * 5, 0.2), p_above([0.3] * 6, 0.2), p_above([0.3] * 6, 0.4)) == (1.0, 2**-6, 1.0)
    assert p_above([0.0] * 8, 0.0) == 1.0
    assert seeds_that_decide(interval, lambda *_: True, 1) is None


def test_one_value_has_no_interval_and_none_has_no_mean():
    assert math.isnan(paired_interval([0.4]).low)
    assert math.isnan(paired_interval([]).mean)
    assert math.isnan(p_above([0.4], 0.0))
    assert paired_interval([0.4, math.nan, 0.6]).n == 2
