"""A measured figure beside its target."""

import statistics
from collections.abc import Sequence

from scipy.stats import binom


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Of the median: from the k-th smallest to the k-th largest value, which hold it in 95% of runs or, for fewer than
    six values, in as many as the whole range does."""
    ordered = sorted(values)
    rank = max(int(binom.ppf(0.025, len(ordered), 0.5)), 1)
    return ordered[rank - 1], ordered[-rank]


def judged(
    name: str, values: Sequence[float], *, at_most: float | None = None, at_least: float | None = None, unit: str = ""
) -> list[str]:
    """Print the median of several rounds, its interval and the target; [name] where the whole interval misses that."""
    low, high = interval(values)
    target = f"at most {at_most:g}" if at_most is not None else f"at least {at_least:g}"
    print(f"{name}: {statistics.median(values):.4g}{unit} ({low:.4g} to {high:.4g}), target {target}{unit}", flush=True)
    missed = low > at_most if at_most is not None else high < at_least
    return [name] if missed else []
