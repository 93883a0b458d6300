"""What a measurement looks like: how its values are drawn, declared once by the file that measures it.

The record carries the declarations, so the report draws every measurement without importing what measured it.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One figure of a measurement, comparing the arms of a study.

    'lines': value against x, averaged over seeds; a colour an arm, a line style a `line`.
    'bars': the same for places that have no order or too few points for a line; on a logarithmic axis, which suits
        ratios, they stand on 1.
    'heat', 'contour': value over x and y, a panel an arm; 'contour' draws level lines of a smooth surface.
    'outcome': a metric of the summary, named like the chart, of each arm, against depth where it varies.

    An evaluator's chart draws its measurements of that name. An instrument's chart draws its readings of that
    quantity: as 'heat' over steps and places, as 'lines' over places, geometric means over steps. A reading
    'quantity.line' belongs to the chart `quantity`.

    title: heading, a noun phrase.
    caption: what is drawn and how to read it, in one or two sentences.
    x, y, value: what the axes are called, units included.
    log: axes that are logarithmic; 'value' also takes means over seeds as geometric ones.
    """

    title: str
    caption: str
    kind: Literal["lines", "bars", "heat", "contour", "outcome"]
    x: str = ""
    y: str = ""
    value: str = ""
    log: tuple[Literal["x", "value"], ...] = ()


class Measurement(NamedTuple):
    """One value of an evaluator's chart: at x (and y, where the chart has two axes), on a line of the arm.

    line: which of several lines of one arm, such as a frequency band; '' where there is one.
    """

    chart: str
    x: float
    value: float
    line: str = ""
    y: float | None = None
