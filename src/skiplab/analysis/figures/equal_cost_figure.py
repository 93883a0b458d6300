"""Training loss against FLOPs: which depth of each arm is best at which cost."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from skiplab.analysis.figures.chart_values import step_windows
from skiplab.analysis.figures.figures import MOST_PANELS, left_out
from skiplab.analysis.figures.marks import mark
from skiplab.analysis.figures.palette import (
    arm_colors,
    frame,
    level_styles,
    log_ticks,
    panels,
    plain_text,
    share_legend,
)
from skiplab.analysis.study.arms import arm_names, cells, factor_under_test, in_cell, with_arms
from skiplab.analysis.study.study import Study
from skiplab.analysis.tables.equal_cost import numeric_factor
from skiplab.analysis.tables.training_cost import training_costs, training_losses
from skiplab.analysis.text import cell_text, level_text

_CAPTION = (
    "Training loss against the FLOPs spent so far, geometric mean over seeds in windows of steps. The broad band of "
    "each arm is its lower envelope: the least loss that any of its lines has reached at that cost. It is chosen on "
    "the seeds that are shown, which flatters."
)


def equal_cost_figure(study: Study, factor: str | None = None, over: str | None = None) -> Figure:
    """One panel a cell, one color an arm, one line style a level of `over` (depth), and each arm's lower envelope.

    Raises:
        SkiplabError: if `over` doesn't vary, isn't numeric, or is the factor under test.
    """
    factor = factor_under_test(study, factor)
    over = numeric_factor(study, factor, over)
    trials = with_arms(study, factor).join(training_costs(study))
    curves = training_losses(study).merge(trials[["key", "flops_per_step"]], on="key")
    curves = curves.assign(step=curves.groupby("key")["step"].transform(step_windows), value=np.log(curves["value"]))
    curves = curves.assign(flops=(curves["step"] + 1) * curves["flops_per_step"]).dropna(subset="flops")
    styles, colors = level_styles(levels := sorted(set(study.trials[over]))), arm_colors(arm_names(study, factor))
    found = cells(study, factor, within=(over,))[:MOST_PANELS]
    figure, axes = panels(len(found))
    for ax, cell in zip(axes, found, strict=True):
        own = curves.merge(in_cell(study, trials, cell)[["key", "arm", over]], on="key")
        for arm, of_arm in own.groupby("arm", observed=True):
            for level in levels:
                means = _means(of_arm.loc[of_arm[over] == level], ["flops"])
                if means.empty:
                    continue
                label = plain_text(f"{arm}, {over} {level_text(level)}")
                (line,) = ax.plot(
                    means.index.to_numpy(),
                    np.exp(means.to_numpy()),
                    label=label,
                    color=colors[str(arm)],
                    **styles[level],
                )
                mark(line, cell={over: level}, arm=str(arm))
            reached = _least(_means(of_arm, ["flops", over]))
            (band,) = ax.plot(
                reached.index.to_numpy(), np.exp(reached.to_numpy()), color=colors[str(arm)], linewidth=6, alpha=0.25
            )
            mark(band, arm=str(arm))
        log_ticks(ax, "x")
        log_ticks(ax, "y")
        mark(ax, cell=cell)
        frame(ax, cell_text(cell) if cell else "", "FLOPs spent on training", "training loss")
    share_legend(figure, axes)
    return figure


def equal_cost_caption(study: Study, factor: str, over: str | None = None) -> str:
    """What `equal_cost_figure` shows."""
    num = len(cells(study, factor, within=(numeric_factor(study, factor, over),)))
    return f"{_CAPTION} {left_out(num)}".strip()


def _least(means: pd.Series) -> pd.Series:
    """The least mean that was reached at each cost or below it."""
    return cast("pd.Series", means.groupby("flops").min()).cummin()


def _means(curves: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    return cast("pd.Series", curves.groupby(list(names))["value"].mean())
