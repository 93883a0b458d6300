"""The look of figures: colors that color-blind readers can tell apart, panels, ticks, SVG for light and dark pages."""

import io
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter
from matplotlib.typing import RcKeyType

from skiplab.analysis.figures.marks import mark, mark_of
from skiplab.printable import one_line

# Okabe and Ito 2008, Color Universal Design; black and yellow left out: one vanishes on dark, one on light.
_FIXED = {"plain": "#D55E00", "identity": "#0072B2"}
_OTHERS = ("#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#0072B2", "#D55E00")
# Of middle lightness, for studies of more arms than that; not all readers tell these apart.
_MORE = ("#999933", "#AA4499", "#44AA99", "#CC6677", "#8C6D31", "#7B68EE", "#6B8E23", "#B0785A")
# Of kinds of layers: none is a color of plain or identity.
KIND_COLORS = ("#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7B68EE", "#999933", "#44AA99", "#8C6D31")
VERDICT_COLORS = {
    "supported": "#009E73",
    "contradicted": "#D55E00",
    "no meaningful difference": "#0072B2",
    "inconclusive": "#6E6E6E",
}
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (9, 3)))
COLOR_MAP = "viridis"  # perceptually uniform, and filled, so that it is read on light and dark pages
_FEW_TICKS = 5  # spaces between them
_LONGEST = 44  # characters of a label
_LEGEND_ROWS, _ROW_INCHES = 2, 0.19  # for which a figure has room, and the height of a further one
_SHORT_NUMBER = FuncFormatter(lambda value, _: f"{value:g}")
INK = "#010203"  # stands for the page's text color until the SVG is written
_MUTED = "#808080"
_PRINT_DPI = 300  # of the parts of a PDF that are pixels
_NOT_IN_XML: dict[int, str] = dict.fromkeys((0xFFFE, 0xFFFF), "\ufffd")  # beside what `printable` spells out
POINTS_PER_INCH = 72  # of an SVG by matplotlib
_RASTER_DPI = 160  # of the parts of a figure that are pixels, which keep a page small
_NOTEBOOK_DPI = 80  # of a figure as a notebook shows it, from twice as many pixels
_STYLE: dict[RcKeyType, Any] = {
    "axes.edgecolor": _MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "grid.alpha": 0.25,
    "grid.color": _MUTED,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "text.color": INK,
    "xtick.color": _MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": _MUTED,
    "ytick.labelcolor": INK,
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "skiplab",
}


class NotebookFigure(Figure):
    """A figure that a notebook shows by itself; on a white ground, since its text is dark on any page."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        buffer = io.BytesIO()
        to_png(self, buffer, dpi=2 * _NOTEBOOK_DPI)
        width, height = (round(inches * _NOTEBOOK_DPI) for inches in self.get_size_inches())
        return buffer.getvalue(), {"width": width, "height": height}


def arm_colors(arms: Sequence[str]) -> dict[str, str]:
    """One color per arm: plain and identity have fixed colors, the others take the next free one."""
    free = [color for color in (*_OTHERS, *_MORE) if color not in {_FIXED[arm] for arm in arms if arm in _FIXED}]
    others = [arm for arm in arms if arm not in _FIXED]
    return {arm: _FIXED[arm] for arm in arms if arm in _FIXED} | {
        arm: free[position % len(free)] for position, arm in enumerate(others)
    }


def level_styles(levels: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
    """A line style and width for each level; the last is solid and widest."""
    last = len(levels) - 1
    return {
        level: {
            "linestyle": _LINES[min(last - position, len(_LINES) - 1)],
            "linewidth": 1.0 + 0.9 * position / max(1, last),
        }
        for position, level in enumerate(levels)
    }


def plain_text(text: str) -> str:
    """The text as a label that matplotlib neither reads as mathematics nor hides from the legend."""
    shown = one_line(text)
    shown = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
    shown = shown.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def panels(num: int, *, columns: int = 3, share_y: bool = False, row_inches: float = 2.8) -> tuple[Figure, list[Axes]]:
    """A figure of `num` panels, `columns` per row; it is not registered with pyplot."""
    columns = min(num, columns)
    rows = math.ceil(num / columns)
    with matplotlib.rc_context(_STYLE):
        figure = NotebookFigure(figsize=(1.2 + 3.6 * columns, 0.9 + row_inches * rows), layout="constrained")
        axes = figure.subplots(rows, columns, sharey=share_y, squeeze=False).ravel().tolist()
    for unused in axes[num:]:
        unused.remove()
    return figure, axes[:num]


def rows_of_panels(num_lines: Sequence[int]) -> tuple[Figure, list[Axes]]:
    """A figure of panels one below the other, each as high as so many lines of text need."""
    heights = [0.3 * lines + 1.1 for lines in num_lines]
    with matplotlib.rc_context(_STYLE):
        figure = NotebookFigure(figsize=(8.4, sum(heights)), layout="constrained")
        axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights).ravel().tolist()
    return figure, axes


def log_ticks(ax: Axes, axis: str) -> None:
    """A log axis whose ticks read 0.02, 0.5, 1e-05."""
    getattr(ax, f"set_{axis}scale")("log")
    ticks = getattr(ax, f"{axis}axis")
    ticks.set_major_locator(_log_locator(*getattr(ax, f"get_{axis}lim")()))
    ticks.set_major_formatter(_SHORT_NUMBER)
    ticks.set_minor_formatter(NullFormatter())


def few_ticks(ax: Axes, *, log: bool) -> None:
    """Ticks of the x axis of a narrow panel, so few that their numbers stand apart."""
    if log:
        log_ticks(ax, "x")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(_FEW_TICKS))


def _log_locator(low: float, high: float) -> Locator:
    decades = math.log10(high / low)
    if decades < 0.6:
        return MaxNLocator(_FEW_TICKS)
    subs = (1.0,) if decades > 3 else (1.0, 3.0) if decades > 1.5 else (1.0, 2.0, 3.0, 5.0, 7.0)
    return LogLocator(subs=subs, numticks=12)


def share_legend(figure: Figure, axes: Sequence[Axes]) -> None:
    """One legend below all panels, each label once, in as many columns as fit; the figure grows with its rows."""
    entries: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        width_inches = 0.6 + 0.075 * max(map(len, entries))
        columns = max(1, min(int(figure.get_figwidth() / width_inches), len(entries), 4))
        more_rows = math.ceil(len(entries) / columns) - _LEGEND_ROWS
        figure.set_figheight(figure.get_figheight() + _ROW_INCHES * max(0, more_rows))
        with matplotlib.rc_context(_STYLE):
            legend = figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=columns)
        for text, handle in zip(legend.get_texts(), entries.values(), strict=True):
            if shown := mark_of(handle):
                mark(text, cell=shown.cell, arm=shown.arm)


def color_bar(figure: Figure, axes: Sequence[Axes], mappable: ScalarMappable, label: str, *, log: bool) -> None:
    """One scale of colors for all panels, beside them."""
    ticks = {"ticks": _log_locator(*mappable.get_clim()), "format": _SHORT_NUMBER} if log else {}
    with matplotlib.rc_context(_STYLE):
        bar = figure.colorbar(mappable, ax=list(axes), label=_in_lines(label), pad=0.02, **ticks)
    bar.outline.set_visible(False)
    bar.ax.grid(visible=False)
    bar.minorticks_off()
    assert bar.solids is not None  # of a mappable that fills
    bar.solids.set_rasterized(True)


def is_first_of_row(ax: Axes) -> bool:
    """Whether a panel stands at the left of a figure, where it names the vertical axis."""
    spec = ax.get_subplotspec()
    return spec is not None and spec.is_first_col()


def frame(ax: Axes, title: str, x: str, y: str) -> None:
    """Set the title of a panel and the labels of its axes; a long one takes two lines."""
    if title:
        ax.set_title(_in_lines(title), fontsize=10, y=1.0)  # else matplotlib looks for ticks above the panel each time
    ax.set_xlabel(_in_lines(x))
    ax.set_ylabel(_in_lines(y))


def _in_lines(text: str) -> str:
    first, *others = textwrap.wrap(text, _LONGEST) or [""]
    return "\n".join(plain_text(line) for line in (first, " ".join(others)) if line)


def to_svg(figure: Figure) -> str:
    """The figure as an SVG document of its own; its text is light if the reader's screen is dark."""
    style = "<style>svg{color:#1c1c1c}@media (prefers-color-scheme:dark){svg{color:#e4e4e4}}</style>"
    return re.sub(r"(<svg[^>]*>)", lambda found: found[1] + style, svg_text(figure), count=1)


def svg_text(figure: Figure, *, settled: bool = False) -> str:
    """The figure as SVG; its text has the color of what surrounds it. It is drawn once; `savefig` would draw it twice.

    Args:
        figure: the figure.
        settled: whether its layout is settled; else that is done here, and the figure is left as it was.
    """
    buffer, metadata = io.StringIO(), {"Date": None, "Creator": None}
    own, dpi, engine = figure.canvas, figure.dpi, figure.get_layout_engine()
    with matplotlib.rc_context(_STYLE):
        canvas = FigureCanvasSVG(figure)  # which measures text in its own way
        if engine and not settled:
            figure.set_dpi(POINTS_PER_INCH)
            engine.execute(figure)
            figure.set_layout_engine("none")
        figure.set_dpi(_RASTER_DPI)
        canvas.print_svg(buffer, metadata=metadata)
        figure.set_canvas(own)
    if not settled:
        figure.set_dpi(dpi)
        figure.set_layout_engine(engine)
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :].replace(INK, "currentColor").translate(_NOT_IN_XML)


def to_png(figure: Figure, path: Any, dpi: int = 160) -> None:
    """Write the figure on a white ground, for a README or a notebook."""
    with matplotlib.rc_context(_STYLE):
        figure.savefig(path, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})


def to_pdf(figure: Figure, path: Any) -> None:
    """Write the figure for a paper: as vectors, with text as text and without a date."""
    with matplotlib.rc_context({**_STYLE, "pdf.fonttype": 42}):
        metadata = {"CreationDate": None, "Creator": None, "Producer": None}
        figure.savefig(path, format="pdf", dpi=_PRINT_DPI, facecolor="white", metadata=metadata)
