"""A grid of learning rates around one, widened where a best lies at an edge, and the best of a curve over them."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from skiplab.records.tuned import Edge, Window

_WORKABLE = 0.9  # share of the best's skill that a workable rate reaches


class Search:
    """Rates centre * factor^k, to two digits; `num_rates` of them at first.

    Args:
        centre: the rate that all lie around, above 0; kept as it is.
        num_rates: rates to begin with.
        factor: between one rate and the next, above 1.
        most_widenings: how often the grid may be widened.
    """

    def __init__(self, centre: float, num_rates: int, factor: float, most_widenings: int) -> None:
        self.centre, self.factor, self.most_widenings = centre, factor, most_widenings
        self._lowest = -(num_rates // 2)
        self._highest = self._lowest + num_rates - 1
        self.num_widened = 0

    @property
    def rates(self) -> tuple[float, ...]:
        return tuple(self._rate(power) for power in range(self._lowest, self._highest + 1))

    def _rate(self, power: int) -> float:
        return float(self.centre) if power == 0 else float(f"{self.centre * self.factor**power:.1e}")

    @property
    def words(self) -> str:
        rates = self.rates
        return f"{len(rates)} rates, {rates[0]:g} to {rates[-1]:g}"

    def widen(self, edges: Sequence[Edge]) -> bool:
        """Add a rate on each side where a best lies; False where there is no need, or no more leave."""
        sides = set(edges) - {"inside"}
        if not sides or self.num_widened == self.most_widenings:
            return False
        self._lowest -= bool(sides & {"lowest", "both"})
        self._highest += bool(sides & {"highest", "both"})
        self.num_widened += 1
        return True


class Best(NamedTuple):
    """The best rate of a curve, its mean skill, where it lies, and the rates around it that work as well."""

    rate: float
    value: float
    edge: Edge
    window: Window


def best_of(curve: Mapping[float, Sequence[float]]) -> Best:
    """The rate whose mean skill is highest; of equals the one nearest the middle, at every edge that they reach.

    So where all rates are equal (none learns anything), the grid is widened on both sides.

    Args:
        curve: for each rate the skill of each seed, from 0 to 1.
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
