"""The values that a chart draws: the evaluators' measurements, or the instruments' readings, sorted into panels."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from skiplab.analysis.frames import column
from skiplab.analysis.study.arms import Cell, cells, in_cell, with_arms
from skiplab.analysis.study.study import Study
from skiplab.analysis.text import cell_text
from skiplab.charts import Chart

MOST_POINTS = 60  # on an axis of steps: they are averaged over windows, so that a page stays small
BLOCK_MARK = ".branch."  # in the path of a layer; what stands before it names the layer's block


class Panel(NamedTuple):
    """What one panel draws. values: columns key and arm (categories), line, x, y, value, path (of a layer, else '')."""

    title: str
    cell: Cell
    values: pd.DataFrame

    def by_arm_and_line(self, *, sort: bool = False) -> Iterator[tuple[str, str, pd.DataFrame]]:
        """The values of each arm and line; sorted by them, or in the order of the values."""
        for names, own in self.values.groupby(["arm", "line"], observed=True, sort=sort):
            arm, line = cast("tuple[str, str]", names)
            yield arm, line, own


def chart_values(study: Study, name: str) -> pd.DataFrame:
    """The values that a chart draws of each trial: key, line, x, y, value, path.

    Values that its axes can't show are left out.

    Readings over places are means over steps, geometric ones where the value's axis is logarithmic; readings
    over steps and places are such means over windows of steps. Places lie from 0, the input, to 1, the output.
    """
    chart = study.charts[name]
    if study.measured_by[name].startswith("instrument"):
        return _readings(study, name, chart)
    measured = study.measurements.loc[study.measurements["chart"] == name]
    return _showable(measured.assign(path=""), chart).loc[:, ["key", "line", "x", "y", "value", "path"]]


def has_two_axes(chart: Chart) -> bool:
    """Whether a chart's values lie over x and y, as colors."""
    return chart.kind in ("heat", "contour")


def scales(chart: Chart) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """The scale on which means of a chart's values are formed, and its inverse."""
    return (np.log, np.exp) if "value" in chart.log else (np.positive, np.positive)


def chart_panels(study: Study, name: str, factor: str) -> list[Panel]:
    """A panel for each cell in which a chart has values; cells that differ only in depth come one after another."""
    values, trials = chart_values(study, name), with_arms(study, factor)
    keys = pd.Categorical(values["key"])  # numbers, which are compared much faster than texts
    values = values.assign(key=keys)
    found, all_cells = [], cells(study, factor)
    others = [cell_text({name: level for name, level in cell.items() if name != "depth"}) for cell in all_cells]
    for _, cell in sorted(zip(others, all_cells, strict=True), key=lambda pair: others.index(pair[0])):
        arms = in_cell(study, trials, cell).set_index("key")["arm"].reindex(keys.categories)
        arm = arms.cat.codes.to_numpy()[keys.codes]
        if (drawn := arm >= 0).any():
            own = values.loc[drawn].assign(arm=pd.Categorical.from_codes(arm[drawn], dtype=arms.dtype))
            found.append(Panel(cell_text(cell) if cell else "", cell, own))
    return found


def step_windows(steps: pd.Series) -> pd.Series:
    """The middle of each step's window, of at most 60 windows."""
    width = max(1, int(np.ceil((steps.max() + 1) / MOST_POINTS)))
    return steps // width * width + (width - 1) / 2


def _readings(study: Study, name: str, chart: Chart) -> pd.DataFrame:
    quantities = column(study.layers, "quantity")
    lines = {each: each.partition(".")[2] for each in quantities.unique()}
    own = study.layers.loc[quantities.isin([each for each in lines if each.partition(".")[0] == name])]
    if own.empty:
        return pd.DataFrame({column: [] for column in ("key", "line", "x", "y", "value", "path")})
    place = own["index"] / own.groupby("key")["index"].transform("max").clip(lower=1)
    x, y = (step_windows(column(own, "step")), place) if has_two_axes(chart) else (place, np.nan)
    values = _showable(own.assign(line=column(own, "quantity").map(lines), x=x, y=y), chart)
    scale, unscale = scales(chart)
    by = ["key", "line", "x", "y", "path"]
    means = values.assign(value=scale(values["value"])).groupby(by, sort=False, dropna=False)["value"].mean()
    return unscale(means).rename("value").reset_index()


def _showable(values: pd.DataFrame, chart: Chart) -> pd.DataFrame:
    showable = np.isfinite(values["value"]) & np.isfinite(values["x"])
    if has_two_axes(chart):
        showable &= np.isfinite(values["y"])
    for axis in chart.log:
        showable &= values[axis] > 0
    return values.loc[showable]
