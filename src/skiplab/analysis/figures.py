"""Figures of a study; each function returns a Figure, whose arms keep one colour everywhere."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skiplab.analysis.compare import Cell, cells, in_cell, scaled, with_arms
from skiplab.analysis.palette import arm_colours, level_styles, log_ticks, panels, plain_text, share_legend
from skiplab.analysis.runs import Study
from skiplab.analysis.statistics import paired_interval
from skiplab.analysis.text import cell_text, level_text
from skiplab.metrics import Metric

_MOST_POINTS = 60  # of a loss curve: steps are averaged over windows, so that a page stays small
_BASELINES = {
    "loss_val": (("loss_zero", "zero predictor", ":"), ("loss_affine", "best affine predictor", "--")),
}


def depth_factor(study: Study) -> str | None:
    """'depth' where it varies in the study, else None."""
    return "depth" if "depth" in study.factors else None


def loss_curves(study: Study, factor: str = "connection") -> Figure:
    """Training loss against steps: geometric mean over seeds, with a band from the lowest to the highest.

    A panel for each cell without its depth; a colour an arm, a line style a depth; a cross where one diverged.
    """
    over = depth_factor(study)
    history = study.history[study.history["metric"] == "loss"]
    found = cells(study, factor, over=over)
    figure, axes = panels(len(found))
    for ax, cell in zip(axes, found, strict=True):
        for arm, level, rows, look in _lines(study, factor, over, cell):
            curves = history[history["key"].isin(rows["key"])]
            _draw_curve(ax, curves, label=_label(arm, over, level), look=look)
            ends = curves[curves["key"].isin(rows.loc[rows["status"] == "diverged", "key"])]
            ends = ends[np.isfinite(ends["value"]) & (ends["value"] > 0)].groupby("key").tail(1)
            ax.plot(ends["step"], ends["value"], "x", color=look["color"], markersize=8)
        log_ticks(ax, "y")
        _frame(ax, cell, "step", "training loss")
    share_legend(figure, axes)
    return figure


def gradient_profile(study: Study, factor: str = "connection", quantity: str = "weight_gradient_norm") -> Figure:
    """A quantity of each layer against its relative position, 0 the input and 1 the output.

    Dots: layers, as geometric means over measured steps and seeds. Lines: blocks, sqrt of the sum of the
    squares of their layers, since layers of different kinds differ within a block. A panel for each cell.
    """
    layers = study.layers[study.layers["quantity"] == quantity]
    layers = layers[(layers["value"] > 0) & np.isfinite(layers["value"])]  # what a log axis can show
    found = cells(study, factor)
    depths = study.trials[depth].nunique() if (depth := depth_factor(study)) else 1
    figure, axes = panels(len(found), columns=min(depths, 4) if depths > 1 else 3, share_y=True)
    for ax, cell in zip(axes, found, strict=True):
        chosen = in_cell(study, with_arms(study, factor), cell)
        for arm, colour in arm_colours(list(chosen["arm"].cat.categories)).items():
            own = layers[layers["key"].isin(chosen.loc[chosen["arm"] == arm, "key"])]
            if not own.empty:
                _draw_profile(ax, own, colour, plain_text(arm))
        _frame(ax, cell, "relative position of the layer", quantity.replace("_", " "))
    for ax in axes:
        log_ticks(ax, "y")
    share_legend(figure, axes)
    return figure


def _draw_profile(ax: Axes, layers: pd.DataFrame, colour: str, label: str) -> None:
    by_layer = np.exp(np.log(layers["value"]).groupby([layers["index"], layers["path"]]).mean()).reset_index()
    last = max(1, by_layer["index"].max())
    ax.plot(by_layer["index"] / last, by_layer["value"], ".", color=colour, alpha=0.35, markersize=4)
    block = by_layer["path"].str.split(".branch.", regex=False).str[0]
    blocks = by_layer.assign(square=by_layer["value"] ** 2).groupby(block, sort=False)
    ax.plot(blocks["index"].mean() / last, np.sqrt(blocks["square"].sum()), color=colour, label=label)


def outcome(study: Study, metric: str, factor: str = "connection") -> Figure:
    """A metric against depth, or of each arm where depth doesn't vary."""
    return (outcome_by_depth if depth_factor(study) else outcome_by_arm)(study, metric, factor)


def outcome_by_arm(study: Study, metric: str, factor: str = "connection") -> Figure:
    """A metric of each arm, a row each, from the highest mean to the lowest of the first cell that shows it.

    Each seed is a dot (a cross where it diverged), the mean has its 95% interval, baselines are broken lines.
    """
    declared, found = study.metrics[metric], cells(study, factor)
    trials = with_arms(study, factor)
    points = scaled(trials, metric, declared)
    unscale = np.exp if declared.scale == "log" else (lambda value: value)
    order = points["value"].groupby(trials["arm"], observed=True).mean().sort_values(na_position="first").index
    rows = {arm: position for position, arm in enumerate(order)}
    figure, axes = panels(len(found), columns=2, share_y=True, row_inches=0.5 + 0.19 * len(order))
    colours = arm_colours(list(trials["arm"].cat.categories))
    for ax, cell in zip(axes, found, strict=True):
        chosen = in_cell(study, trials, cell)
        for arm, position in rows.items():
            own = points.loc[chosen.index[chosen["arm"] == arm]]
            for diverged, marker in ((True, "x"), (False, ".")):
                drawn = own[(own["state"] == "diverged") == diverged]["value"].dropna()
                ax.plot(unscale(drawn), [position] * len(drawn), marker, color=colours[arm], alpha=0.55)
            interval = paired_interval(own["value"])
            if interval.n:
                middle, low, high = (float(unscale(v)) for v in (interval.mean, interval.low, interval.high))
                if declared.scale == "bounded":
                    low, high = max(low, 0.0), min(high, 1.0)
                reach = np.nan_to_num([[middle - low], [high - middle]]).clip(0)
                ax.errorbar(middle, position, xerr=reach, color=colours[arm], marker="o", markersize=4, capsize=3)
        for name, words, style in _BASELINES.get(metric, ()):
            if name in study.metrics and chosen[name].notna().any():
                ax.axvline(chosen[name].mean(), color="0.5", linestyle=style, linewidth=1, label=words)
        ax.set_yticks(list(rows.values()), [plain_text(arm) for arm in rows])
        if declared.scale == "log":
            log_ticks(ax, "x")
        _frame(ax, cell, declared.label, "")
    share_legend(figure, axes)
    return figure


def outcome_by_depth(study: Study, metric: str, factor: str = "connection") -> Figure:
    """A metric against depth: each seed as a dot, the mean with its 95% interval, baselines as broken lines.

    A diverged trial that counts with a value is drawn as a cross.
    """
    over, declared = "depth", study.metrics[metric]
    found = cells(study, factor, over=over)
    figure, axes = panels(len(found), share_y=True)
    for ax, cell in zip(axes, found, strict=True):
        chosen = in_cell(study, with_arms(study, factor), cell)
        arms = list(chosen["arm"].cat.categories)
        colours = arm_colours(arms)
        for position, arm in enumerate(arms):
            rows = chosen[chosen["arm"] == arm]
            offset = (position - (len(arms) - 1) / 2) * 0.06
            _draw_outcome(ax, rows, rows[over].astype(float) * 2**offset, declared, metric, arm, colours[arm])
        for name, words, style in _BASELINES.get(metric, ()):
            if name in study.metrics and chosen[name].notna().any():
                ax.axhline(chosen[name].mean(), color="0.5", linestyle=style, linewidth=1, label=words)
        ax.set_xscale("log", base=2)
        depths = sorted(set(study.trials[over]))
        ax.set_xticks(depths, [level_text(depth) for depth in depths])
        ax.minorticks_off()
        if declared.scale == "log":
            log_ticks(ax, "y")
        _frame(ax, cell, over, declared.label)
    share_legend(figure, axes)
    return figure


def headline_figure(study: Study, factor: str = "connection") -> Figure:
    """The study in one figure: skill on training images, else the first metric there is."""
    known = [name for name in ("skill_train", "skill_val", "loss_val") if name in study.metrics]
    return outcome(study, (known or list(study.metrics))[0], factor)


def _lines(study: Study, factor: str, over: str | None, cell: Cell) -> list[tuple[str, Any, pd.DataFrame, dict]]:
    """The arms of a cell, at each depth: name, depth, trials and look."""
    chosen = in_cell(study, with_arms(study, factor), cell)
    arms = list(chosen["arm"].cat.categories)
    colours = arm_colours(arms)
    levels: Sequence[Any] = sorted(set(study.trials[over])) if over else [None]
    styles = level_styles(levels)
    found = []
    for arm in arms:
        for level in levels:
            rows = chosen[(chosen["arm"] == arm) & (True if level is None else chosen[over] == level)]
            if not rows.empty:
                found.append((arm, level, rows, {"color": colours[arm], **styles[level]}))
    return found


def _draw_curve(ax: Axes, curves: pd.DataFrame, *, label: str, look: Mapping[str, Any]) -> None:
    curves = curves[np.isfinite(curves["value"]) & (curves["value"] > 0)]
    if curves.empty:
        return
    window = max(1, int(np.ceil((curves["step"].max() + 1) / _MOST_POINTS)))
    middle = curves["step"] // window * window + (window - 1) / 2
    per_seed = np.log(curves["value"]).groupby([middle, curves["key"]]).mean().unstack()
    mean = np.exp(per_seed.mean(axis=1))
    ax.plot(mean.index, mean, label=label, **look)
    if per_seed.shape[1] > 1:
        low, high = np.exp(per_seed.min(axis=1)), np.exp(per_seed.max(axis=1))
        ax.fill_between(mean.index, low, high, color=look["color"], alpha=0.12, linewidth=0)


def _draw_outcome(
    ax: Axes, rows: pd.DataFrame, x: pd.Series, declared: Metric, metric: str, arm: str, colour: str
) -> None:
    found = scaled(rows, metric, declared)
    unscale = np.exp if declared.scale == "log" else (lambda value: value)
    for state, marker in (("diverged", "x"), (None, ".")):
        drawn = found["value"].notna() & ((found["state"] == "diverged") == (state == "diverged"))
        ax.plot(x[drawn], unscale(found["value"][drawn]), marker, color=colour, alpha=0.55, markersize=6)
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
        look = {"color": colour, "marker": "o", "markersize": 4, "linewidth": 1.6, "elinewidth": 1, "capsize": 3}
        ax.errorbar(at, mean, yerr=reach, label=plain_text(arm), **look)


def _label(arm: str, over: str | None, level: Any) -> str:
    return plain_text(arm if over is None else f"{arm}, {over} {level_text(level)}")


def _frame(ax: Axes, cell: Cell, x: str, y: str) -> None:
    if cell:
        ax.set_title(plain_text(cell_text(cell)), fontsize=10)
    ax.set_xlabel(plain_text(x))
    ax.set_ylabel(plain_text(y))
