"""The figure of `skiplab tune`: the metric against the learning rate."""

from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skiplab.analysis.figures.marks import mark
from skiplab.analysis.figures.palette import arm_colors, frame, log_ticks, panels, plain_text, share_legend
from skiplab.analysis.text import cell_text, level_text
from skiplab.records.tuned import RATE, Combination, Tuned
from skiplab.records.tuned_budget import short_name

_LABEL_POINTS, _LINE_POINTS = 32, 10  # from a panel to below the label of its axis, and of each line there


def tuning_figure(tuned: Tuned) -> Figure:
    """A panel a cell, a line an arm: the mean over seeds at each rate, other settings as chosen.

    Each seed is a dot, a rate at which a trial diverged has a cross, the chosen one a ring; the other choices
    stand below the panel.
    """
    factor = "connection" if "connection" in tuned.factors else next(iter(tuned.factors), None)
    by_cell: dict[tuple[Any, ...], list[Combination]] = {}
    for each in tuned.combinations:
        by_cell.setdefault(tuple((n, v) for n, v in each.factors.items() if n != factor), []).append(each)
    colors = arm_colors(list(dict.fromkeys(_arm(each, factor) for each in tuned.combinations)))
    figure, axes = panels(len(by_cell), share_y=True)
    for ax, (cell, combinations) in zip(axes, by_cell.items(), strict=True):
        for each in combinations:
            arm, color = _arm(each, factor), colors[_arm(each, factor)]
            means = {rate: sum(values) / len(values) for rate, values in each.curve.items()}
            curve = {"color": color, "linewidth": 1.6, "label": plain_text(arm)}
            drawn: list[Artist] = [*ax.plot(list(means), list(means.values()), "-", **curve)]
            seeds = [(rate, value) for rate, values in each.curve.items() for value in values]
            drawn += ax.plot(*zip(*seeds, strict=True), ".", color=color, alpha=0.55, markersize=6)
            drawn += ax.plot(each.diverged, [means[rate] for rate in each.diverged], "x", color=color, markersize=8)
            best = each.best[RATE]
            ring = {"color": color, "markersize": 10, "fillstyle": "none", "markeredgewidth": 1.6}
            drawn += ax.plot([best], [means[best]], "o", **ring)
            if each.tried:
                drawn.append(_choices(ax, arm, each, color, line=combinations.index(each)))
            for shown in drawn:
                mark(shown, arm=arm)
        log_ticks(ax, "x")
        mark(ax, cell=dict(cell))
        frame(ax, cell_text(dict(cell)) if cell else "", "learning rate", tuned.label)
    share_legend(figure, axes)
    return figure


def _choices(ax: Axes, arm: str, combination: Combination, color: str, line: int) -> Artist:
    """A line of text on the chosen options and settings, below the label of the rates."""
    names = [name for choice in combination.tried for name in choice.split("+")]
    chosen = (f"{short_name(name)} {level_text(combination.best[name])}" for name in names)
    words = f"{plain_text(arm)}: {', '.join(map(plain_text, chosen))}"
    place = (0, -_LABEL_POINTS - _LINE_POINTS * line)
    look = {"fontsize": 7, "color": color, "ha": "center", "va": "top", "annotation_clip": False}
    return ax.annotate(words, (0.5, 0), place, xycoords="axes fraction", textcoords="offset points", **look)


def _arm(combination: Combination, factor: str | None) -> str:
    return level_text(combination.factors[factor]) if factor else "all trials"
