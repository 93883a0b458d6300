"""A declared chart of a study as a figure, with a caption that says how to read it."""

import difflib
from collections.abc import Collection
from typing import NamedTuple

from matplotlib.figure import Figure

from skiplab.analysis.figures.chart_lines import bars_figure, lines_figure
from skiplab.analysis.figures.chart_maps import map_panels, maps_figure
from skiplab.analysis.figures.chart_values import chart_panels, has_two_axes
from skiplab.analysis.figures.figures import MOST_PANELS, depth_factor, left_out_cells, outcome
from skiplab.analysis.figures.layer_kinds import has_layers
from skiplab.analysis.study.arms import factor_under_test
from skiplab.analysis.study.metric_values import scale_metric
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import level_text, number
from skiplab.errors import SkiplabError
from skiplab.printable import printable

_MOST_PANELS = {"lines": MOST_PANELS, "bars": MOST_PANELS, "heat": 12, "contour": 12}


class DrawnChart(NamedTuple):
    """A figure; the caption says how to read it, and what it leaves out of the study.

    constant: the one value that all of it shows, as a sentence; '' where values differ.
    """

    figure: Figure
    caption: str
    constant: str = ""


def chart_figure(study: Study, name: str, factor: str | None = None) -> Figure:
    """The figure of a chart that an evaluator or an instrument has declared.

    Raises:
        SkiplabError: if the study has no such chart, or no values for it.
    """
    if name not in study.charts:
        valid = printable(", ".join(study.charts)) or "none; evaluate the trials again to get charts"
        close = difflib.get_close_matches(name, study.charts, n=1)
        hint = f"; did you mean {printable(close[0])!r}?" if close else ""
        raise SkiplabError(f"unknown chart {printable(name)!r}; valid: {valid}{hint}")
    drawn = draw_chart(study, name, factor_under_test(study, factor))
    if drawn is None:
        raise SkiplabError(
            f"chart {printable(name)!r} has no values in study {printable(study.name)!r}; choose another chart"
        )
    return drawn.figure


def draw_chart(study: Study, name: str, factor: str) -> DrawnChart | None:
    """The figure of a declared chart with its caption; None if there is no value to draw."""
    chart = study.charts[name]
    if chart.kind == "outcome":
        return _draw_outcome(study, name, factor)
    found = chart_panels(study, name, factor)
    if has_two_axes(chart):
        found = map_panels(found)
    shown = found[: _MOST_PANELS[chart.kind]]
    if not shown:
        return None
    draw = {"lines": lines_figure, "bars": bars_figure, "heat": maps_figure, "contour": maps_figure}[chart.kind]
    remarks = [chart.caption]
    if has_two_axes(chart) and depth_factor(study, factor) and "depth" in shown[0].cell:
        remarks.append(f"Only the greatest depth, {level_text(shown[0].cell['depth'])}, is shown.")
    if chart.kind == "lines" and has_layers([panel.values for panel in shown]):
        remarks.append("Dots are layers, colored by kind; lines join the means of their blocks.")
    if not has_two_axes(chart) and len(set(study.trials["seed"])) > 1:
        spread = "A band" if chart.kind == "lines" else "A whisker"
        remarks.append(f"{spread} runs from the lowest seed to the highest.")
    if len(found) > len(shown):
        remarks.append(f"{len(shown)} of {len(found)} panels are shown.")
    values = {value for panel in shown for value in panel.values["value"].unique()}
    return DrawnChart(draw(chart, shown), " ".join(remark for remark in remarks if remark), _constant(values))


def _draw_outcome(study: Study, metric: str, factor: str) -> DrawnChart | None:
    if metric not in study.metrics:
        return None
    found = scale_metric(study.trials, metric, study.metrics[metric])
    states = set(found.loc[found["value"].notna(), "state"])
    if not states:
        return None
    remarks = [study.charts[metric].caption]
    if "diverged" in states:
        remarks.append("A cross is a trial that diverged.")
    if "not reached" in states:
        remarks.append("A triangle is a lower bound: the trial ended before it reached the value.")
    remarks.append(left_out_cells(study, factor))
    values = set(study.trials.loc[found["value"].notna(), metric]) if states == {"measured"} else set()
    text = " ".join(remark for remark in remarks if remark)
    return DrawnChart(outcome(study, metric, factor), text, _constant(values))


def _constant(values: Collection[float]) -> str:
    """A sentence where all values are equal."""
    return f"Every value is {number(next(iter(values)))}." if len(values) == 1 else ""
