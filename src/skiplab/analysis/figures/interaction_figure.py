"""The interaction plot: how the effect of the factor under test changes with the other factors."""

from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from skiplab.analysis.figures.figures import MOST_PANELS, depth_factor, left_out
from skiplab.analysis.figures.marks import mark
from skiplab.analysis.figures.palette import arm_colors, frame, log_ticks, panels, plain_text, share_legend
from skiplab.analysis.frames import column
from skiplab.analysis.study.arms import arm_names, cell_factors, cells, factor_under_test
from skiplab.analysis.study.study import Study
from skiplab.analysis.tables.comparison_table import comparison_table
from skiplab.analysis.text import cell_text, level_text
from skiplab.errors import SkiplabError

_CAPTION = (
    "The effect of each arm over the control with 95% intervals, paired by seed where the arms share seeds; parallel "
    "lines show no interaction. An arm that collapsed has no dot."
)
_SPREAD = 0.12  # of the lines of one place, in distances between places


def interaction_figure(study: Study, metric: str, factor: str | None = None, control: str | None = None) -> Figure:
    """The effect of each arm over the control against one factor, with one line per level of another.

    Where depth varies it is on the axis, else the first factor of a cell; lines are levels of the next one; a panel
    for each combination of the rest, and for each arm. Dots are means of the seeds' paired differences (ratios of a log
    metric) with 95% intervals; parallel lines show no interaction. An arm that collapsed has no dot.

    Raises:
        SkiplabError: if only the factor under test varies, or if it has a single arm.
    """
    factor = factor_under_test(study, factor)
    names = cell_factors(study, factor)
    if not names:
        raise SkiplabError(
            f"only {factor} varies in this study, so it shows no interaction; sweep a second factor, such as depth"
        )
    if len(arms := arm_names(study, factor)) < 2:
        raise SkiplabError(
            f"{factor} has a single arm, {', '.join(arms)}, so it shows no interaction; train a second arm"
        )
    over, lines = _axis_and_lines(study, factor)
    rest = ["treatment", *(name for name in names if name not in (over, lines))]
    table = comparison_table(study, factor=factor, control=control, metrics=[metric]).frame
    places = {level: place for place, level in enumerate(_levels(column(study.trials, over)))}
    levels = _levels(column(study.trials, lines)) if lines else [None]
    colors = arm_colors([level_text(level) for level in levels])
    found = [
        (cast("tuple[Any, ...]", values), rows)
        for values, rows in table.groupby(rest, observed=True, sort=False, dropna=False)
    ]
    found = found[:MOST_PANELS]
    figure, axes = panels(len(found), share_y=True)
    for ax, (values, rows) in zip(axes, found, strict=True):
        for position, level in enumerate(levels):
            own = rows.loc[rows[lines] == level] if lines else rows
            shift = (position - (len(levels) - 1) / 2) * _SPREAD
            name = f"{lines} {level_text(level)}" if lines else None
            own = own.assign(place=column(own, over).map(places).astype(float) + shift)
            drawn = _draw(ax, own, name, colors[level_text(level)])
            mark(drawn, cell={lines: level} if lines else None)
        ratio = table["effect_kind"].iloc[0] == "ratio"
        ax.axhline(1.0 if ratio else 0.0, color="0.5", linewidth=1)
        if ratio:
            log_ticks(ax, "y")
        ax.set_xticks(list(places.values()), [plain_text(level_text(level)) for level in places])
        ax.set_xlim(-0.5, len(places) - 0.5)
        panel = dict(zip(rest[1:], values[1:], strict=True))
        over_control = f"{values[0]} over {rows['control'].iloc[0]}"
        title = f"{over_control}, {cell_text(panel)}" if panel else over_control
        mark(ax, cell=panel, arm=str(values[0]))
        frame(ax, title, over, f"{'ratio' if ratio else 'difference'}, {study.metrics[metric].label}")
    share_legend(figure, axes)
    return figure


def interaction_caption(study: Study, factor: str) -> str:
    """What `interaction_figure` shows."""
    num = (len(arm_names(study, factor)) - 1) * len(cells(study, factor, within=_axis_and_lines(study, factor)))
    return f"{_CAPTION} {left_out(num)}".strip()


def _axis_and_lines(study: Study, factor: str) -> tuple[str, str | None]:
    """The factor on the axis, and the one of the lines."""
    names = cell_factors(study, factor)
    over = depth_factor(study, factor) or names[0]
    return over, next((name for name in names if name != over), None)


def _levels(values: pd.Series) -> list[Any]:
    return list(values.cat.categories) if isinstance(values.dtype, pd.CategoricalDtype) else sorted(values.unique())


def _draw(ax: Axes, rows: pd.DataFrame, name: str | None, color: str) -> ErrorbarContainer:
    rows = rows.loc[np.isfinite(rows["effect"])].sort_values("place")
    reach = np.nan_to_num([rows["effect"] - rows["low"], rows["high"] - rows["effect"]], posinf=0.0).clip(0)
    look = {"color": color, "marker": "o", "markersize": 4, "linewidth": 1.6, "elinewidth": 1, "capsize": 3}
    return ax.errorbar(rows["place"], rows["effect"], yerr=reach, label=plain_text(name) if name else None, **look)
