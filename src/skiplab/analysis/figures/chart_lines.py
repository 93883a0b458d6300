"""Charts of values against one axis, as lines or bars: one panel per cell, one color per arm."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from skiplab.analysis.figures.chart_values import BLOCK_MARK, Panel, scales
from skiplab.analysis.figures.layer_kinds import is_in_block, kind_colors, layer_kinds
from skiplab.analysis.figures.marks import mark
from skiplab.analysis.figures.palette import (
    arm_colors,
    frame,
    is_first_of_row,
    level_styles,
    log_ticks,
    panels,
    plain_text,
    share_legend,
)
from skiplab.analysis.frames import column
from skiplab.analysis.text import level_text, number
from skiplab.charts import Chart

_FEW_POINTS = 16  # up to which a line shows where it was measured
_MOST_TICKS = 12
_NEUTRAL = "0.5"  # of a legend's entry that stands for all arms
_PALEST = 0.35  # opacity of the last of several lines' bars


def lines_figure(chart: Chart, drawn: Sequence[Panel]) -> Figure:
    """Means over seeds as lines, with a band from the lowest seed to the highest; one line style per `line`.

    Layers are dots, filled with the color of their kind and edged with that of their arm; lines join the means of their
    blocks, since layers of different kinds differ within a block. Dots and points of lines bear the layer's name.
    """
    colors, lines, kinds = _arms(drawn), _lines(drawn), kind_colors([panel.values for panel in drawn])
    looks = level_styles(lines[::-1])  # the first is solid
    figure, axes = _panels(drawn)
    for ax, panel in zip(axes, drawn, strict=True):
        for arm, line, own in panel.by_arm_and_line():
            _draw_line(ax, own, chart, arm, {"color": colors[arm], **looks[line]}, kinds)
        if "x" in chart.log:
            log_ticks(ax, "x")
        elif all(x % 1 == 0 for x in panel.values["x"].unique()):
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        mark(ax, cell=panel.cell)
        frame(ax, panel.title, chart.x, chart.value if is_first_of_row(ax) else "")
    for arm, color in colors.items():
        mark(axes[0].plot([], [], color=color, label=plain_text(arm))[0], arm=arm)
    for line in lines if len(lines) > 1 else ():
        axes[0].plot([], [], color=_NEUTRAL, label=plain_text(line), **looks[line])
    for kind, color in kinds.items():
        axes[0].plot([], [], "o", color=color, markersize=6, label=plain_text(f"layer {kind}"))
    return _finished(figure, axes, chart)


def bars_figure(chart: Chart, drawn: Sequence[Panel]) -> Figure:
    """Means over seeds as bars side by side, with whiskers from the lowest seed to the highest.

    Each further `line` has paler bars.
    """
    colors, lines = _arms(drawn), _lines(drawn)
    opacities = dict(zip(lines, np.linspace(1.0, _PALEST, len(lines)), strict=True))
    group = [(arm, line) for arm in colors for line in lines]
    width = 0.8 / len(group)
    figure, axes = _panels(drawn)
    for ax, panel in zip(axes, drawn, strict=True):
        places = sorted(panel.values["x"].unique())
        for arm, line, own in panel.by_arm_and_line():
            offset = (group.index((arm, line)) - (len(group) - 1) / 2) * width
            look = {"color": colors[arm], "alpha": opacities[line]}
            _draw_bars(ax, own, chart, places, offset, width, arm, look)
        labeled = range(0, len(places), 1 + (len(places) - 1) // _MOST_TICKS)
        ax.set_xticks(list(labeled), [level_text(float(places[position])) for position in labeled])
        mark(ax, cell=panel.cell)
        frame(ax, panel.title, chart.x, chart.value if is_first_of_row(ax) else "")
    for arm, color in colors.items():
        mark(axes[0].fill_between([], [], color=color, label=plain_text(arm)), arm=arm)
    for line in lines if len(lines) > 1 else ():
        axes[0].fill_between([], [], color=_NEUTRAL, alpha=opacities[line], label=plain_text(line))
    return _finished(figure, axes, chart)


def _draw_line(
    ax: Axes, own: pd.DataFrame, chart: Chart, arm: str, look: Mapping[str, Any], kinds: Mapping[str, str]
) -> None:
    in_block = is_in_block(own)
    if any(in_block):
        for kind, layers in own.groupby(layer_kinds(own, kinds), sort=False):
            mean, *_ = _over_seeds(layers, chart)
            filled = {"color": kinds[str(kind)], "markeredgecolor": look["color"], "markeredgewidth": 0.7}
            (dots,) = ax.plot(mean.index, mean, "o", alpha=0.8, markersize=3.2, **filled)
            mark(dots, arm=arm, texts=_texts(arm, layers, mean))
        own = own.loc[in_block]
        block = column(own, "path").str.split(BLOCK_MARK, regex=False).str[0]
        own = own.assign(x=own["x"].groupby(block).transform("mean"), path=block)
    mean, low, high = _over_seeds(own, chart)
    (drawn,) = ax.plot(mean.index, mean, marker="." if len(mean) <= _FEW_POINTS else "", **look)
    mark(drawn, arm=arm, texts=_texts(arm, own, mean))
    if column(own, "key").nunique() > 1:
        band = ax.fill_between(mean.index, low, high, color=look["color"], alpha=0.12, linewidth=0)
        mark(band, arm=arm)


def _texts(arm: str, own: pd.DataFrame, mean: pd.Series) -> list[str]:
    """What each point says: the arm, the layer or block if it is one, and the value."""
    _, first = np.unique(own["x"], return_index=True)  # of each point
    paths = own["path"].to_numpy()[first]
    return [f"{arm}{path and f', {path}'}: {number(value)}" for path, value in zip(paths, mean, strict=True)]


def _draw_bars(
    ax: Axes,
    own: pd.DataFrame,
    chart: Chart,
    places: Sequence[float],
    offset: float,
    width: float,
    arm: str,
    look: Mapping[str, Any],
) -> None:
    mean, low, high = _over_seeds(own, chart)
    at = np.array([places.index(x) for x in mean.index]) + offset
    foot = 1.0 if "value" in chart.log else 0.0
    for bar, value in zip(ax.bar(at, mean - foot, width, bottom=foot, **look), mean, strict=True):
        mark(bar, arm=arm, texts=[f"{arm}: {number(value)}"])
    if column(own, "key").nunique() > 1:
        reach = np.clip([mean - low, high - mean], 0, None)
        whiskers = ax.errorbar(at, mean, yerr=reach, fmt="none", ecolor=_NEUTRAL, elinewidth=min(1.0, 8 * width))
        mark(whiskers, arm=arm)


def _over_seeds(own: pd.DataFrame, chart: Chart) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Mean, lowest and highest trial at each x. Several values of one trial at the same x are averaged."""
    scale, unscale = scales(chart)
    x, row = np.unique(own["x"], return_inverse=True)
    keys, trial = np.unique(column(own, "key").cat.codes, return_inverse=True)
    shape = (len(x), len(keys))
    place = np.ravel_multi_index((row, trial), shape)
    counts = np.bincount(place, minlength=len(x) * len(keys))
    sums = np.bincount(place, scale(own["value"].to_numpy()), minlength=len(x) * len(keys))
    by_trial = np.ma.array(sums / np.maximum(counts, 1), mask=counts == 0).reshape(shape)
    mean, low, high = by_trial.mean(axis=1), by_trial.min(axis=1), by_trial.max(axis=1)
    return pd.Series(unscale(mean.data), x), pd.Series(unscale(low.data), x), pd.Series(unscale(high.data), x)


def _arms(drawn: Sequence[Panel]) -> dict[str, str]:
    """The colors of the arms that have values."""
    present = {arm for panel in drawn for arm in panel.values["arm"]}
    arms = list(column(drawn[0].values, "arm").cat.categories)
    return {arm: color for arm, color in arm_colors(arms).items() if arm in present}


def _lines(drawn: Sequence[Panel]) -> list[str]:
    return list(dict.fromkeys(line for panel in drawn for line in panel.values["line"]))


def _panels(drawn: Sequence[Panel]) -> tuple[Figure, list[Axes]]:
    """All depths of a cell in one row, if they fit."""
    depths = len({panel.cell.get("depth") for panel in drawn})
    return panels(len(drawn), columns=min(depths, 4) if depths > 1 else 3, share_y=True)


def _finished(figure: Figure, axes: Sequence[Axes], chart: Chart) -> Figure:
    if "value" in chart.log:
        for ax in axes:
            log_ticks(ax, "y")
    share_legend(figure, axes)
    return figure
