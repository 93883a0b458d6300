"""The figures of the page, cut into panels that can be hidden, and grouped by what measured them."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from skiplab.analysis.figures import figures
from skiplab.analysis.figures.chart_figures import draw_chart
from skiplab.analysis.figures.svg_definitions import Definitions
from skiplab.analysis.figures.svg_panels import Panel, cut
from skiplab.analysis.study.filters import Filters
from skiplab.analysis.study.study import LOSS, Study
from skiplab.printable import printable

_WIDEST = 460  # pixels of a panel that shares a row with others


class PageFigures:
    """Draws a study's figures for one page. definitions: what their SVGs share."""

    def __init__(self, filters: Filters) -> None:
        self.definitions = Definitions()
        self._filters = filters

    def groups(self, study: Study, factor: str) -> list[dict[str, Any]]:
        """The training loss, then all charts, grouped by instrument and evaluator.

        A chart of which all values are equal is a line of text.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        if LOSS in study.history["metric"].unique():
            caption = figures.loss_caption(study, factor)
            found[""] = [self.figure("Training loss", caption, figures.loss_curves(study, factor))]
        for name in sorted(study.charts, key=lambda name: not study.measured_by[name].startswith("instrument")):
            drawn = draw_chart(study, name, factor)
            if drawn:
                title, own = study.charts[name].title, found.setdefault(study.measured_by[name], [])
                own.append(
                    {"title": title, "constant": drawn.constant}
                    if drawn.constant
                    else self.figure(title, drawn.caption, drawn.figure)
                )
        return [
            {"id": f"figures-{position}", **_heading(measured_by), "figures": own}
            for position, (measured_by, own) in enumerate(found.items())
        ]

    def figure(self, title: str, caption: str, drawn: Figure) -> dict[str, Any]:
        """A figure with its title and caption."""
        pieces = cut(drawn, printable(title), self._filters.of_mark, self.definitions)
        return {
            "title": title,
            "caption": caption,
            "class": _layout(pieces.panels),
            "constant": "",
            "panels": pieces.panels,
            "legend": pieces.legend,
        }


def _layout(panels: Sequence[Panel]) -> str:
    """How a page lays panels out: one, several of one size, or each as wide as it is."""
    if any(panel.kind == "scale" or panel.width > _WIDEST for panel in panels):
        return "wide"
    return "single" if len(panels) == 1 else "even"


def _heading(measured_by: str) -> dict[str, str]:
    """The heading of a group of figures, and the option that measures it."""
    kind, _, name = measured_by.partition(" ")
    heading = name.replace("_", " ") or kind or "training"
    when = {"instrument": "measured during training by", "evaluator": "measured after training by"}.get(kind, "")
    return {"heading": heading[0].upper() + heading[1:], "source": f"{when} {kind}={name}" if when and name else ""}
