"""A grid of learning rates that is widened while a best rate is at its edge, and the best rate of a curve."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from skiplab.records.tuned import Edge, Window

_WORKABLE = 0.9  # fraction of the best skill that a workable rate reaches


class RateGrid:
    """Rates center * factor^k, rounded to two digits except for the center; `num_rates` of them at the start.

    Args:
        center: the rate in the middle, above 0.
        num_rates: number of rates at the start.
        factor: the ratio of two neighboring rates, above 1.
        max_widenings: how often the grid may be widened.
    """

    def __init__(self, center: float, num_rates: int, factor: float, max_widenings: int) -> None:
        self.center, self.factor, self.max_widenings = center, factor, max_widenings
        self._lowest = -(num_rates // 2)
        self._highest = self._lowest + num_rates - 1
        self.num_widened = 0

    @property
    def rates(self) -> tuple[float, ...]:
        return tuple(self._rate(power) for power in range(self._lowest, self._highest + 1))

    def _rate(self, power: int) -> float:
        return float(self.center) if power == 0 else float(f"{self.center * self.factor**power:.1e}")

    def __str__(self) -> str:
        rates = self.rates
        return f"{len(rates)} rates, {rates[0]:g} to {rates[-1]:g}"

    def widen(self, edges: Sequence[Edge]) -> bool:
        """Add a rate at each edge with a best rate; False if there is none, or the grid may not be widened again."""
        sides = set(edges) - {"inside"}
        if not sides or self.num_widened == self.max_widenings:
            return False
        self._lowest -= bool(sides & {"lowest", "both"})
        self._highest += bool(sides & {"highest", "both"})
        self.num_widened += 1
        return True


class Best(NamedTuple):
    """The best rate of a curve, its mean skill, where it is in the grid, and the window of workable rates around it."""

    rate: float
    value: float
    edge: Edge
    window: Window


def best_of(curve: Mapping[float, Sequence[float]]) -> Best:
    """The rate with the highest mean skill; of equal ones the one nearest to the middle.

    Equal ones count as at the edge where any of them is: if all rates are equal because nothing learns, both edges.

    Args:
        curve: the skill of each seed, from 0 to 1, by rate.
    """
    rates = sorted(curve)
    means = [math.fsum(curve[rate]) / len(curve[rate]) for rate in rates]
    value, middle = max(means), (len(rates) - 1) / 2
    bests = [position for position, mean in enumerate(means) if mean == value]
    best = min(bests, key=lambda position: abs(position - middle))
    at_lowest, at_highest = 0 in bests, len(rates) - 1 in bests
    low = high = best
    while low > 0 and means[low - 1] >= _WORKABLE * value:
        low -= 1
    while high < len(rates) - 1 and means[high + 1] >= _WORKABLE * value:
        high += 1
    return Best(
        rate=rates[best],
        value=value,
        edge="both" if at_lowest and at_highest else "lowest" if at_lowest else "highest" if at_highest else "inside",
        window=Window(lowest=rates[low], highest=rates[high], at_least=low == 0 or high == len(rates) - 1),
    )
