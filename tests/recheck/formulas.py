"""The formulas of docs/statistics.md, written a second time: NumPy and SciPy alone, nothing of skiplab."""

import math

import numpy as np
from scipy import stats

ALPHA = 0.025


def finite(values):
    return np.array([value for value in values if np.isfinite(value)], dtype=float)


def equal(values):
    """Whether all values are the same up to rounding."""
    return max(values) - min(values) <= 1e-12 * max(abs(value) for value in values)


def t_interval(values, level=0.95):
    """Mean, low and high; no ends below 2 values."""
    values = finite(values)
    if len(values) < 2:
        return (values.mean() if len(values) else math.nan), math.nan, math.nan
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)
    return values.mean(), values.mean() - half, values.mean() + half


def welch(a, b):
    """Low and high of mean(a) - mean(b), unpaired."""
    a, b = finite(a), finite(b)
    if len(a) < 2 or len(b) < 2:
        return math.nan, math.nan
    if equal(a) and equal(b):
        return (a.mean() - b.mean(),) * 2
    squares = [side.var(ddof=1) / len(side) for side in (a, b)]
    freedom = sum(squares) ** 2 / sum(each**2 / (len(side) - 1) for each, side in zip(squares, (a, b), strict=True))
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(squares))
    return a.mean() - b.mean() - half, a.mean() - b.mean() + half


def correlation(a, b):
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if np.isfinite(x) and np.isfinite(y)]
    if len(pairs) < 3 or any(equal(side) for side in zip(*pairs, strict=True)):
        return math.nan
    return float(np.corrcoef(np.array(pairs).T)[0, 1])


def hedges_g(values):
    values = finite(values)
    m = len(values) - 1
    if m < 2 or equal(values):
        return math.nan
    return math.gamma(m / 2) / (math.sqrt(m / 2) * math.gamma((m - 1) / 2)) * values.mean() / values.std(ddof=1)


def probability_greater(a, b):
    a, b = finite(a), finite(b)
    if not len(a) or not len(b):
        return math.nan
    return float(np.mean([(x > y) + (x == y) / 2 for x in a for y in b]))


def bootstrap(values):
    """Low and high of the BCa bootstrap, from 10 values on."""
    values = finite(values)
    if len(values) < 10 or equal(values):
        return math.nan, math.nan
    generator = np.random.default_rng(0)
    found = stats.bootstrap((values,), np.mean, n_resamples=9999, method="BCa", rng=generator).confidence_interval
    return found.low, found.high


def permutation_p(values, bound):
    """The fraction of signs with a sum at least as great; nan below 6 values."""
    d = finite(values) - bound
    if len(d) < 6:
        return math.nan
    if len(d) <= 14:
        sums = np.zeros(1)
        for each in d:
            sums = np.concatenate([sums + each, sums - each])
    else:
        drawn = np.random.default_rng(0).integers(0, 2, (99_999, len(d)), dtype=np.int8)
        sums = np.append((1 - 2.0 * drawn) @ d, d.sum())
    return float(np.mean(sums >= d.sum() - 1e-12 * (abs(d + bound) + abs(bound)).sum()))


def p_mean_above(values, bound):
    """One-sided p of a mean at most the bound: t, or of equal values the permutation of signs (1 below 6)."""
    values = finite(values)
    if equal(values):
        p = permutation_p(values, bound)
        return 1.0 if math.isnan(p) else p
    return float(stats.t.sf((values.mean() - bound) / stats.sem(values), len(values) - 1))


def exact_rate(kind, num, exposure, tail):
    """A rate with its exact interval: Clopper and Pearson for events, Garwood for counts."""
    if kind == "event":
        low = stats.beta.ppf(tail, num, exposure - num + 1) if num else 0.0
        high = stats.beta.isf(tail, num + 1, exposure - num) if num < exposure else 1.0
    else:
        low = stats.chi2.ppf(tail, 2 * num) / 2 / exposure if num else 0.0
        high = stats.chi2.isf(tail, 2 * num + 2) / 2 / exposure
    return num / exposure, low, high


def weighted_rates(kind, terms, tail):
    """The sum of weight x rate, each (events, exposure, weight), with the interval of the exact ones (MOVER)."""
    total, below, above = 0.0, 0.0, 0.0
    for num, exposure, weight in terms:
        value, *ends = (weight * each for each in exact_rate(kind, num, exposure, tail))
        total, below, above = total + value, below + (value - min(ends)) ** 2, above + (max(ends) - value) ** 2
    return total, total - math.sqrt(below), total + math.sqrt(above)


def p_rate_above(kind, terms, bound):
    """The one-sided tail at which the interval of their sum reaches down to the bound, from 1e-12 on; else 1."""

    def excess(log_tail):
        return weighted_rates(kind, terms, math.exp(log_tail))[1] - bound

    low, high = math.log(1e-12), math.log(0.499)
    if excess(high) <= 0:
        return 1.0
    if excess(low) > 0:
        return 1e-12
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if excess(middle) > 0 else (middle, high)
    return math.exp(low)


def holm(p_values):
    """Each p times the number of those not smaller, never below the one before."""
    ranked = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, before = [0.0] * len(p_values), 0.0
    for left, index in zip(range(len(ranked), 0, -1), ranked, strict=True):
        before = adjusted[index] = max(before, min(1.0, left * p_values[index]))
    return adjusted


def alpha_of_looks(looks):
    """What each look may spend of alpha (Lan and DeMets)."""
    spent = [ALPHA * math.log(1 + (math.e - 1) * n / looks[-1]) for n in looks]
    return dict(zip(looks, np.diff([0.0, *spent]).tolist(), strict=True))


def decided(direction, bound, tail, ends):
    """Whether intervals around an advantage decide; `ends` gives those that leave out so much at each end."""
    low, high = ends(tail)
    if direction == "equal":
        outer_low, outer_high = ends(tail / 2)
        return ((low > -bound) & (high < bound)) | (outer_low > bound) | (outer_high < -bound)
    if direction.startswith("not_"):
        return (low > -bound) | (high < -bound)
    inner_low, inner_high = ends(0.05)
    return (low > bound) | (high < -bound) | ((inner_low > -bound) & (inner_high < bound))


def seeds_that_decide_rates(kind, terms, num_seeds, direction, margin, num_tests, shift):
    """Lower and upper estimate of the seeds that decide at these rates; nan where there is none up to 1,000."""
    found = []
    for tail in (ALPHA, ALPHA / num_tests):
        for n in range(max(num_seeds + 1, 6), 1001):
            more = [(num * n / num_seeds, exposure * n / num_seeds, weight) for num, exposure, weight in terms]

            def ends(tail, more=more):
                _, low, high = weighted_rates(kind, more, tail)
                return low - shift, high - shift

            if decided(direction, margin, tail, ends):
                found.append(float(n))
                break
        else:
            found.append(math.nan)
    return tuple(found)


def seeds_that_decide(values, mean, direction, bound, num_tests):
    """Lower and upper estimate of the seeds that decide at this mean; nan where there is none up to 1,000."""
    values = finite(values)
    if len(values) < 2 or equal(values):
        return math.nan, math.nan
    n = np.arange(len(values) + 1, 1001)
    found = []
    for quantile, tail in ((0.9, ALPHA), (0.1, ALPHA / num_tests)):
        sd = values.std(ddof=1) * math.sqrt((len(values) - 1) / stats.chi2.ppf(quantile, len(values) - 1))

        def ends(tail, sd=sd):
            half = stats.t.isf(tail, n - 1) * sd / np.sqrt(n)
            return mean - half, mean + half

        enough = decided(direction, bound, tail, ends)
        found.append(float(n[enough][0]) if enough.any() else math.nan)
    return tuple(found)
