"""Charts of values over two axes, as heat maps or contours: one panel per arm, one color scale for all panels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from skiplab.analysis.figures.chart_values import Panel, scales
from skiplab.analysis.figures.marks import mark
from skiplab.analysis.figures.palette import COLOR_MAP, color_bar, few_ticks, frame, is_first_of_row, panels
from skiplab.analysis.text import cell_text
from skiplab.charts import Chart

_MOST_COLUMNS = 4
_NUM_LEVELS = 13  # of a contour figure


def map_panels(drawn: Sequence[Panel]) -> list[Panel]:
    """The panels of the deepest networks, split by arm and line; their titles name these instead of the depth."""
    deepest = max((panel.cell.get("depth", 0) for panel in drawn), default=0)
    found = []
    for panel in drawn:
        if panel.cell.get("depth", 0) == deepest:
            others = {name: level for name, level in panel.cell.items() if name != "depth"}
            for arm, line, own in panel.by_arm_and_line(sort=True):
                parts = (arm, line, cell_text(others) if others else "")
                found.append(Panel(", ".join(part for part in parts if part), panel.cell, own))
    return found


def maps_figure(chart: Chart, drawn: Sequence[Panel]) -> Figure:
    """Means over seeds as colors: of cells in a heat map, between level lines in a contour."""
    tables = [_over_seeds(panel.values, chart) for panel in drawn]
    norm = _norm(tables, chart)
    num_arms = len({arm for panel in drawn for arm in panel.values["arm"]})
    figure, axes = panels(len(drawn), columns=min(num_arms, _MOST_COLUMNS), share_y=True)
    for ax, panel, table in zip(axes, drawn, tables, strict=True):
        if chart.kind == "contour" and min(table.shape) > 1:
            _draw_levels(ax, table, norm)
        else:
            _draw_cells(ax, table, norm, log_x="x" in chart.log)
        ax.grid(visible=False)
        few_ticks(ax, log="x" in chart.log)
        mark(ax, cell=panel.cell, arm=str(panel.values["arm"].iloc[0]))
        frame(ax, panel.title, chart.x, chart.y if is_first_of_row(ax) else "")
    mappable = ScalarMappable(norm, COLOR_MAP)
    color_bar(figure, axes, mappable, chart.value, log="value" in chart.log)
    return figure


def _over_seeds(values: pd.DataFrame, chart: Chart) -> pd.DataFrame:
    """The mean at each place: one row per y, one column per x, in order."""
    scale, unscale = scales(chart)
    means = values.assign(value=scale(values["value"])).pivot_table(index="y", columns="x", values="value")
    return unscale(means)


def _norm(tables: Sequence[pd.DataFrame], chart: Chart) -> Normalize:
    """The scale of colors from the lowest to the highest value of all panels; never of width zero."""
    low = min(float(np.nanmin(table)) for table in tables)
    high = max(float(np.nanmax(table)) for table in tables)
    if "value" in chart.log:
        return LogNorm(low, high) if high > low else LogNorm(low / 2, high * 2)
    return Normalize(low, high) if high > low else Normalize(low - 0.5, high + 0.5)


def _draw_cells(ax: Axes, table: pd.DataFrame, norm: Normalize, *, log_x: bool) -> None:
    x = table.columns.to_numpy(float)
    x = np.exp(_edges(np.log(x))) if log_x else _edges(x)
    y = _edges(table.index.to_numpy(float))
    ax.pcolormesh(x, y, table.to_numpy(), norm=norm, cmap=COLOR_MAP, rasterized=True)


def _draw_levels(ax: Axes, table: pd.DataFrame, norm: Normalize) -> None:
    levels = norm.inverse(np.linspace(0, 1, _NUM_LEVELS))
    grid = (table.columns.to_numpy(float), table.index.to_numpy(float), np.ma.masked_invalid(table.to_numpy()))
    ax.contourf(*grid, levels=levels, norm=norm, cmap=COLOR_MAP)
    ax.contour(*grid, levels=levels, colors="white", linewidths=0.5, alpha=0.6)


def _edges(centers: np.ndarray) -> np.ndarray:
    """Where the places of a row begin and end, halfway between their centers."""
    if len(centers) == 1:
        return centers[0] + np.array([-0.5, 0.5])
    middles = (centers[1:] + centers[:-1]) / 2
    return np.concatenate([[2 * centers[0] - middles[0]], middles, [2 * centers[-1] - middles[-1]]])
