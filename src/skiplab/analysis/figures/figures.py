"""Figures of a study. An arm has the same color in all of them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skiplab.analysis.figures.chart_values import step_windows
from skiplab.analysis.figures.marks import mark
from skiplab.analysis.figures.palette import (
    arm_colors,
    few_ticks,
    frame,
    is_first_of_row,
    level_styles,
    log_ticks,
    panels,
    plain_text,
    share_legend,
)
from skiplab.analysis.frames import column
from skiplab.analysis.statistics.intervals import paired_interval
from skiplab.analysis.study.arms import Cell, arm_names, cells, factor_under_test, in_cell, with_arms
from skiplab.analysis.study.collapsed import SKILLS
from skiplab.analysis.study.metric_values import metric_values, scale_metric
from skiplab.analysis.study.study import Study
from skiplab.analysis.tables.comparison import BASELINES
from skiplab.analysis.text import cell_text, interval_text, level_text, number
from skiplab.metrics import Metric

_LOSS_CAPTION = (
    "Geometric mean over seeds; the band runs from the lowest to the highest seed, a cross marks a diverged trial."
)
MOST_PANELS = 24  # of a figure; each takes as long to draw as a table of a hundred rows
OUTCOME_CAPTION = (
    "A small dot is a trial (a cross if it diverged), a large dot the mean over seeds with its 95% interval."
)
SKILL_CAPTION = (
    "Skill is 1 - loss / (loss of a predictor that learned nothing): at 0 nothing was learned, 1 is perfect."
)
_HEADLINES = (*SKILLS, "loss_val")
_AFFINE = "best affine predictor, validation images"


def depth_factor(study: Study, factor: str) -> str | None:
    """'depth' if it varies in the study, in numbers above 0, and isn't the factor under test, else None."""
    if "depth" not in study.factors or factor == "depth":
        return None
    depths = column(study.trials, "depth")
    return "depth" if pd.api.types.is_numeric_dtype(depths) and (depths > 0).all() else None


def loss_curves(study: Study, factor: str | None = None) -> Figure:
    """Training loss against steps: geometric mean over seeds, with a band from the lowest to the highest.

    There is one panel per cell, up to `MOST_PANELS` (depths share a panel), one color per arm, one line style per
    depth. A cross is a diverged trial.
    """
    factor = factor_under_test(study, factor)
    over = depth_factor(study, factor)
    history = study.history.loc[study.history["metric"] == "loss"]
    found = cells(study, factor, within=(over,))[:MOST_PANELS]
    figure, axes = panels(len(found))
    for ax, cell in zip(axes, found, strict=True):
        for arm, level, rows, look in _lines(study, factor, over, cell):
            curves = history.loc[column(history, "key").isin(rows["key"])]
            shown = {over: level} if over else {}
            _draw_curve(ax, curves, label=_label(arm, over, level), look=look, shown=shown, arm=arm)
            ends = curves.loc[column(curves, "key").isin(rows.loc[rows["status"] == "diverged", "key"])]
            ends = ends.loc[_is_drawable(ends)].groupby("key").tail(1)
            (crosses,) = ax.plot(ends["step"], ends["value"], "x", color=look["color"], markersize=8)
            mark(crosses, cell=shown, arm=arm)
        log_ticks(ax, "y")
        _frame(ax, cell, "step", "training loss")
    share_legend(figure, axes)
    return figure


def loss_caption(study: Study, factor: str) -> str:
    """What `loss_curves` shows."""
    return f"{_LOSS_CAPTION} {left_out_cells(study, factor)}".strip()


def left_out_cells(study: Study, factor: str) -> str:
    """A remark where a figure of a panel a cell leaves some out, else ''."""
    return left_out(len(cells(study, factor, within=(depth_factor(study, factor),))))


def left_out(num_panels: int) -> str:
    """A remark where so many panels are more than `MOST_PANELS`, else ''."""
    return f"{MOST_PANELS} of {num_panels} panels are shown." if num_panels > MOST_PANELS else ""


def outcome(study: Study, metric: str, factor: str | None = None) -> Figure:
    """A metric against depth, or of each arm if depth doesn't vary."""
    factor = factor_under_test(study, factor)
    return (outcome_by_depth if depth_factor(study, factor) else outcome_by_arm)(study, metric, factor)


def outcome_by_arm(study: Study, metric: str, factor: str | None = None) -> Figure:
    """A metric of each arm, one row per arm, sorted by the mean.

    Each seed is a dot (a cross where it diverged, a triangle where its value is a lower bound), the mean has its
    95% interval, baselines are broken lines.
    """
    factor = factor_under_test(study, factor)
    declared, found = study.metrics[metric], _measured_cells(study, metric, factor)
    trials = with_arms(study, factor)
    points = scale_metric(trials, metric, declared)
    unscale = np.exp if declared.scale == "log" else (lambda value: value)
    means = {arm: column(own, "value").mean() for arm, own in points.groupby(trials["arm"], observed=True)}
    order = pd.Series(means).sort_values(na_position="first").index
    rows = {arm: position for position, arm in enumerate(order)}
    figure, axes = panels(len(found), columns=2, share_y=True, row_inches=0.5 + 0.19 * len(order))
    colors = arm_colors(arm_names(study, factor))
    for ax, cell in zip(axes, found, strict=True):
        chosen = in_cell(study, trials, cell)
        for arm, position in rows.items():
            own = points.loc[chosen.index[chosen["arm"] == arm]]
            for state, values in own["value"].dropna().groupby(own["state"]):
                marker = {"diverged": "x", "not reached": ">"}.get(str(state), ".")
                (dots,) = ax.plot(unscale(values), [position] * len(values), marker, color=colors[arm], alpha=0.55)
                mark(dots, arm=arm)
            interval = paired_interval(own["value"])
            if interval.n:
                middle, low, high = (float(unscale(v)) for v in (interval.mean, interval.low, interval.high))
                if declared.scale == "bounded":
                    low, high = max(low, 0.0), min(high, 1.0)
                reach = np.nan_to_num([[middle - low], [high - middle]]).clip(0)
                look = {"color": colors[arm], "marker": "o", "markersize": 4, "capsize": 3}
                drawn = ax.errorbar(middle, position, xerr=reach, **look)
                mark(drawn, arm=arm, texts=[_mean_text(arm, middle, low, high)])
        for baseline in _baselines(metric, chosen):
            ax.axvline(baseline.value, color="0.5", linestyle=baseline.style, linewidth=1, label=baseline.label)
        ax.set_yticks(list(rows.values()), [plain_text(arm) for arm in rows])
        for tick, arm in zip(ax.yaxis.get_major_ticks(), rows, strict=True):
            mark(tick.label1, arm=arm)
        few_ticks(ax, log=declared.scale == "log")
        _frame(ax, cell, declared.label, "")
    share_legend(figure, axes)
    return figure


def outcome_by_depth(study: Study, metric: str, factor: str | None = None) -> Figure:
    """A metric against depth: each seed as a dot, the mean with its 95% interval, baselines as broken lines.

    A diverged trial that counts with a value is drawn as a cross, one with only a lower bound as a triangle.
    """
    factor = factor_under_test(study, factor)
    over, declared = "depth", study.metrics[metric]
    found, trials = _measured_cells(study, metric, factor, over), with_arms(study, factor)
    arms, depths = arm_names(study, factor), sorted(set(study.trials[over]))
    colors = arm_colors(arms)
    margin = 0.1 + 0.04 * len(arms) + 0.04 * np.log2(depths[-1] / depths[0])
    figure, axes = panels(len(found), columns=3 if len(found) <= 9 else 4, share_y=True)
    for ax, cell in zip(axes, found, strict=True):
        chosen = in_cell(study, trials, cell)
        for position, arm in enumerate(arms):
            rows = chosen.loc[chosen["arm"] == arm]
            offset = (position - (len(arms) - 1) / 2) * 0.06
            _draw_outcome(ax, rows, column(rows, over).astype(float) * 2**offset, declared, metric, arm, colors[arm])
        for baseline in _baselines(metric, chosen):
            ax.axhline(baseline.value, color="0.5", linestyle=baseline.style, linewidth=1, label=baseline.label)
        ax.set_xscale("log", base=2)
        ax.set_xticks(depths, [level_text(depth) for depth in depths])
        ax.set_xlim(depths[0] * 2**-margin, depths[-1] * 2**margin)  # a study half run has the same axis
        ax.minorticks_off()
        if declared.scale == "log":
            log_ticks(ax, "y")
        _frame(ax, cell, over, declared.label if is_first_of_row(ax) else "")
    share_legend(figure, axes)
    return figure


class _Baseline(NamedTuple):
    value: float
    label: str
    style: str


def _baselines(metric: str, trials: pd.DataFrame) -> list[_Baseline]:
    """What simple predictors reach in a loss or a skill on the trials' data, as far as it was measured."""
    known = {name: column(trials, name).dropna() for name in BASELINES if name in trials}
    zero, affine = (known[name].mean() if name in known and len(known[name]) else None for name in BASELINES)
    if metric == "loss_val":
        found = ((zero, "zero predictor, validation images", ":"), (affine, _AFFINE, "--"))
        return [_Baseline(float(value), label, style) for value, label, style in found if value is not None]
    if metric in SKILLS and zero is not None and affine is not None:
        return [_Baseline(float(1 - affine / zero), _AFFINE, "--")]
    return []


def headline_figure(study: Study, factor: str | None = None) -> Figure:
    """The study in one figure: its headline metric."""
    return outcome(study, headline_metric(study), factor)


def headline_metric(study: Study) -> str:
    """Skill on training images if it was measured, else skill or loss on validation images, else the first metric."""
    return next(name for name in (*_HEADLINES, *study.metrics) if name in study.metrics)


def _measured_cells(study: Study, metric: str, factor: str, over: str | None = None) -> list[Cell]:
    """The cells in which a metric has a value, up to `MOST_PANELS`; all cells if none has."""
    found, values = cells(study, factor, within=(over,)), metric_values(study, factor, metric)
    values = values.loc[values["value"].notna()]
    return ([cell for cell in found if not in_cell(study, values, cell).empty] or found)[:MOST_PANELS]


def _lines(study: Study, factor: str, over: str | None, cell: Cell) -> list[tuple[str, Any, pd.DataFrame, dict]]:
    """The arms of a cell, at each depth: name, depth, trials and look."""
    chosen = in_cell(study, with_arms(study, factor), cell)
    arms = arm_names(study, factor)
    colors = arm_colors(arms)
    levels: Sequence[Any] = sorted(set(study.trials[over])) if over else [None]
    styles = level_styles(levels)
    found = []
    for arm in arms:
        for level in levels:
            rows = chosen.loc[(chosen["arm"] == arm) & (True if level is None else chosen[over] == level)]
            if not rows.empty:
                found.append((arm, level, rows, {"color": colors[arm], **styles[level]}))
    return found


def _is_drawable(curves: pd.DataFrame) -> pd.Series:
    """Whether a value has a place on a logarithmic axis."""
    return column(curves, "value").gt(0) & column(curves, "value").lt(np.inf)


def _draw_curve(ax: Axes, curves: pd.DataFrame, *, label: str, look: Mapping[str, Any], shown: Cell, arm: str) -> None:
    curves = curves.loc[_is_drawable(curves)]
    if curves.empty:
        return
    logarithms = curves.assign(value=np.log(curves["value"]), step=step_windows(column(curves, "step")))
    per_seed = logarithms.pivot_table(index="step", columns="key", values="value")
    (line,) = ax.plot(per_seed.index, np.exp(per_seed.mean(axis=1)), label=label, **look)
    mark(line, cell=shown, arm=arm)
    if per_seed.shape[1] > 1:
        low, high = np.exp(per_seed.min(axis=1)), np.exp(per_seed.max(axis=1))
        band = ax.fill_between(per_seed.index, low, high, color=look["color"], alpha=0.12, linewidth=0)
        mark(band, cell=shown, arm=arm)


def _draw_outcome(
    ax: Axes, rows: pd.DataFrame, x: pd.Series, declared: Metric, metric: str, arm: str, color: str
) -> None:
    found = scale_metric(rows, metric, declared)
    unscale = np.exp if declared.scale == "log" else (lambda value: value)
    for state, values in found["value"].dropna().groupby(found["state"]):
        marker = {"diverged": "x", "not reached": "^"}.get(str(state), ".")
        (dots,) = ax.plot(x[values.index], unscale(values), marker, color=color, alpha=0.55, markersize=6)
        mark(dots, arm=arm)
    points = []
    for position, values in found["value"].groupby(x):
        interval = paired_interval(values)
        if interval.n:
            points.append((position, *(unscale(v) for v in (interval.mean, interval.low, interval.high))))
    if points:
        at, mean, low, high = np.array(points, dtype=float).T
        if declared.scale == "bounded":
            low, high = np.maximum(low, 0.0), np.minimum(high, 1.0)
        reach = np.nan_to_num([mean - low, high - mean]).clip(0)
        look = {"color": color, "marker": "o", "markersize": 4, "linewidth": 1.6, "elinewidth": 1, "capsize": 3}
        drawn = ax.errorbar(at, mean, yerr=reach, label=plain_text(arm), **look)
        texts = [_mean_text(arm, *numbers) for numbers in zip(mean, low, high, strict=True)]
        mark(drawn, arm=arm, texts=texts)


def _label(arm: str, over: str | None, level: Any) -> str:
    return plain_text(arm if over is None else f"{arm}, {over} {level_text(level)}")


def _mean_text(arm: str, mean: float, low: float, high: float) -> str:
    known = np.isfinite(high - low)
    return f"{arm}: {number(mean)}{f', 95% {interval_text(low, high)}' if known else ''}"


def _frame(ax: Axes, cell: Cell, x: str, y: str) -> None:
    mark(ax, cell=cell)
    frame(ax, cell_text(cell) if cell else "", x, y)
