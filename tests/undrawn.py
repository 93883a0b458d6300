"""Pages without their figures: where a test looks at something else, drawing them would be most of its time."""

import pytest
from matplotlib.figure import Figure

from skiplab.analysis.figures.chart_figures import DrawnChart
from skiplab.analysis.page import page_figures, page_tables, page_verdicts, report
from skiplab.analysis.page.page_figures import PageFigures

# What draws, of each module that makes a page.
_DRAWING = (
    (report, "outcome"),
    (page_figures.figures, "loss_curves"),
    (page_tables, "equal_cost_figure"),
    (page_tables, "interaction_figure"),
    (page_tables, "tuning_figure"),
    (page_verdicts, "forest_figure"),
)


def leave_undrawn(patched: pytest.MonkeyPatch) -> None:
    """A page shows a figure's title and nothing of the figure itself."""
    empty = {"caption": "", "class": "", "constant": "", "panels": [], "legend": []}
    patched.setattr(PageFigures, "figure", lambda own, title, *_: {"title": title, **empty})
    patched.setattr(page_figures, "draw_chart", lambda *_: DrawnChart(Figure(), ""))
    for module, name in _DRAWING:
        patched.setattr(module, name, lambda *_: Figure())
