"""What the shortcuts of a trained network carry, drawn."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from skiplab.analysis.figures.palette import COLOR_MAP, KIND_COLORS, color_bar, frame, log_ticks, panels, share_legend

_UNTOUCHED = "#808080"


def shortcut_figure(measured: pd.DataFrame, parts: Sequence[str]) -> Figure:
    """Two or three panels with a column for each shortcut, from the input to the output.

    The loss under each change beside that of the untouched network; the size of each update; and, if the loss has
    several parts, the loss without each shortcut over that of the untouched network, for each part.

    Args:
        measured: the frame of `skiplab.measure_shortcuts`.
        parts: the parts of the loss; the first is drawn.
    """
    each = measured.loc[measured["shortcut"] >= 0]
    removed = each.loc[(each["change"] == "scaled") & (each["factor"] == 0) & (each["part"] != parts[0])]
    has_parts = not removed.empty and bool(((removed["value"] > 0) & (removed["untouched"] > 0)).any())
    figure, axes = panels(3 if has_parts else 2)
    _draw_changes(axes[0], each.loc[each["part"] == parts[0]], parts[0])
    _draw_sizes(axes[1], each)
    if has_parts:
        _draw_parts(figure, axes[2], removed)
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    share_legend(figure, axes[:1])
    return figure


def _draw_changes(ax: Axes, rows: pd.DataFrame, part: str) -> None:
    drawn = {f"stream x{factor:g}" if factor else "removed": own for factor, own in rows.groupby("factor")}
    drawn["swapped with the next"] = rows.loc[rows["change"] == "swapped"]
    for color, (label, own) in zip((*KIND_COLORS, *KIND_COLORS), drawn.items(), strict=False):
        if not own.empty:
            ax.plot(own["shortcut"] + 1, own["value"], "o-", color=color, label=label, markersize=3, linewidth=1)
    ax.axhline(rows["untouched"].iloc[0], color=_UNTOUCHED, linestyle="--", linewidth=1, label="untouched")
    values = rows[["value", "untouched"]].to_numpy()
    if (values[np.isfinite(values)] > 0).all():
        log_ticks(ax, "y")
    frame(ax, "One shortcut changed", "shortcut", f"loss, {part}" if part else "loss")


def _draw_sizes(ax: Axes, rows: pd.DataFrame) -> None:
    own = rows.drop_duplicates("shortcut")
    ax.plot(own["shortcut"] + 1, own["update_ratio"], "o-", color=_UNTOUCHED, markersize=3, linewidth=1)
    if bool((own["update_ratio"] > 0).all()):
        log_ticks(ax, "y")
    frame(ax, "Size of the update", "shortcut", "update / stream, root mean square")


def _draw_parts(figure: Figure, ax: Axes, rows: pd.DataFrame) -> None:
    names = list(dict.fromkeys(rows["part"]))
    ratios = rows.assign(ratio=rows["value"] / rows["untouched"]).pivot(
        index="part", columns="shortcut", values="ratio"
    )
    shown = ratios.loc[names].to_numpy(dtype=float)
    shown = np.where(np.isfinite(shown) & (shown > 0), shown, np.nan)
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    norm = LogNorm(min(low, 0.99 * high), high)
    edges = np.arange(shown.shape[1] + 1) + 0.5, np.arange(shown.shape[0] + 1) - 0.5
    ax.pcolormesh(*edges, shown, norm=norm, cmap=COLOR_MAP, rasterized=True)
    ax.set_yticks(range(len(names)), names)
    ax.grid(visible=False)
    color_bar(figure, [ax], ScalarMappable(norm, COLOR_MAP), "loss without / untouched", log=True)
    frame(ax, "Removed, by part of the loss", "shortcut", "")
