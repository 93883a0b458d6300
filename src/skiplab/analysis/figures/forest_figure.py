"""The forest plot: every cell of every claim, with the smallest effect that counts."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skiplab.analysis.claims.cell_verdicts import CellVerdict
from skiplab.analysis.claims.verdict_text import cell_line
from skiplab.analysis.claims.verdicts import Verdict
from skiplab.analysis.figures.palette import INK, VERDICT_COLORS, frame, log_ticks, plain_text, rows_of_panels
from skiplab.analysis.text import cell_text

FOREST_CAPTION = (
    "The advantage in the claimed direction with its 95% interval, paired by seed where the arms share seeds; the band "
    "holds effects too small to count. A filled dot is a verdict for or against the claim, an open one is none."
)
_MOST_DECADES = 6  # of a panel of ratios: beyond, an interval is cut off


def forest_figure(verdicts: Sequence[Verdict]) -> Figure:
    """A panel a part of a claim, a row a cell: the advantage in the claimed direction with its 95% interval.

    The band holds effects too small to count, from -δ to δ; of a log metric everything is a ratio. Each row bears its
    verdict and n. A filled dot supports or contradicts the claim, an open one is undecided; a cell without an effect
    has no dot.
    """
    panels = [panel for verdict in verdicts if verdict.cells for panel in _panels(verdict)]
    figure, axes = rows_of_panels([len(panel.cells) for panel in panels])
    for ax, panel in zip(axes, panels, strict=True):
        _draw(ax, panel)
    return figure


class _Panel(NamedTuple):
    title: str
    cells: Sequence[CellVerdict]


def _panels(verdict: Verdict) -> list[_Panel]:
    title, parts = f"{verdict.claim.name}: {verdict.conclusion}", verdict.claim.parts
    titles = [title] if len(parts) == 1 else [f"{title}; part {n + 1}: {part.says}" for n, part in enumerate(parts)]
    return [_Panel(own, [cell.parts[number] for cell in verdict.cells]) for number, own in enumerate(titles)]


def _draw(ax: Axes, panel: _Panel) -> None:
    cells = panel.cells
    log = cells[0].paired.metric.scale == "log"
    margin = cells[0].test.margin
    rows = list(range(len(cells)))[::-1]  # the first cell on top
    ends = [margin, -margin]
    for row, cell in zip(rows, cells, strict=True):
        line, color = cell_line(cell), VERDICT_COLORS.get(cell.conclusion, VERDICT_COLORS["inconclusive"])
        style = {"xycoords": ("axes fraction", "data"), "va": "center", "color": INK}
        ax.annotate(f"{line.conclusion}, n {line.n}", (1.02, row), **style)
        if not cell.has_size or line.effect == "–":
            why = cell.paired.missing or f"collapsed: {', '.join(cell.collapsed)}"
            ax.annotate(plain_text(why), (0.5, row), ha="center", fontsize=8, **style)
            continue
        ends += _draw_interval(ax, cell, row, color, log)
    ends = [end for end in ends if math.isfinite(end)]
    if log:
        reach = min(max(map(abs, ends)), _MOST_DECADES / 2 * math.log(10))
        ax.set_xlim(math.exp(-1.15 * reach - 0.05), math.exp(1.15 * reach + 0.05))
        log_ticks(ax, "x")
    else:
        reach = max(max(map(abs, ends)), 1e-9)
        ax.set_xlim(-1.15 * reach, 1.15 * reach)
    band = np.exp([-margin, margin]) if log else (-margin, margin)
    ax.axvspan(*band, color="0.5", alpha=0.18, linewidth=0)
    ax.axvline(1.0 if log else 0.0, color="0.5", linewidth=1)
    ax.set_yticks(rows, [plain_text(cell_text(cell.cell)) for cell in cells])
    ax.set_ylim(-0.6, len(cells) - 0.4)
    ax.grid(visible=False, axis="y")
    frame(ax, panel.title, _measured(cells[0]), "")


def _measured(cell: CellVerdict) -> str:
    contrast, label = cell.test.contrast, cell.paired.metric.label
    per = {
        "difference": "",
        "rate": f", per unit of {contrast.over}",
        "change": f", from the lowest {contrast.over} to the highest",
    }
    above = ", above what is expected" if contrast.direction == "equal" else ""
    mean = f", mean over {', '.join(contrast.mean_over)}" if contrast.mean_over else ""
    return f"{label}{mean}{per.get(contrast.kind, f', per doubling of {contrast.over}')}{above}"


def _draw_interval(ax: Axes, cell: CellVerdict, row: int, color: str, log: bool) -> list[float]:
    """Draw a row; returns the interval's ends on the metric's scale."""
    unscaled = np.exp if log else np.asarray
    mean, low, high = cell.interval[:3]
    decided = cell.conclusion in ("supported", "contradicted")
    if math.isfinite(high):
        ax.plot(unscaled([low, high]), [row, row], "-", color=color, linewidth=1.6, solid_capstyle="butt")
    fill = color if decided else "none"
    ax.plot(unscaled([mean]), [row], "o", color=color, markersize=6, markeredgewidth=1.6, markerfacecolor=fill)
    return [mean, low, high]
