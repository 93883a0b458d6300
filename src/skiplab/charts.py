"""Charts: how the values of a measurement are drawn.

Each instrument and evaluator declares its charts once. The record stores the declarations, so the report doesn't import
what measured them.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from skiplab.errors import SkiplabError

Kind = Literal["lines", "bars", "heat", "contour", "outcome"]
LogAxis = Literal["x", "value"]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One figure of a measurement, comparing the arms of a study.

    'lines': value against x, averaged over seeds; one color per arm, one line style per `line`.
    'bars': the same for x without order or with few points; on a logarithmic axis, as for ratios, bars start at 1.
    'heat', 'contour': value over x and y, one panel per arm; 'contour' draws level lines of a smooth surface.
    'outcome': the metric with the chart's name for each arm, against depth if depth varies.

    An evaluator's chart draws its measurements of that name. An instrument's chart draws its readings of that quantity:
    'heat' over steps and places, 'lines' over places with geometric means over steps. A reading 'quantity.line'
    belongs to the chart `quantity`.

    title: heading, a noun phrase.
    caption: what is drawn and how to read it, in one or two sentences.
    x, y, value: labels of the axes, with units.
    log: axes that are logarithmic; 'value' also takes means over seeds as geometric ones.

    Raises:
        SkiplabError: the kind or a logarithmic axis is unknown.
    """

    title: str
    caption: str
    kind: Kind
    x: str = ""
    y: str = ""
    value: str = ""
    log: tuple[LogAxis, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise SkiplabError(f"the chart {self.title!r} has kind={self.kind}; valid: {', '.join(get_args(Kind))}")
        if not set(self.log) <= set(get_args(LogAxis)):
            raise SkiplabError(f"the chart {self.title!r} has log={self.log}; valid: {', '.join(get_args(LogAxis))}")

    @property
    def has_two_axes(self) -> bool:
        """Whether values lie over x and y."""
        return self.kind in ("heat", "contour")


class Measurement(NamedTuple):
    """One value of an evaluator's chart, at x and, if the chart has two axes, y.

    line: the name of one of an arm's lines, such as a frequency band; '' if there is only one.
    """

    chart: str
    x: float
    value: float
    line: str = ""
    y: float | None = None
