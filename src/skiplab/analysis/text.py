"""Names and numbers as text. Names come from records, so whatever they hold is shown and never interpreted."""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from skiplab.printable import one_line, printable

SizeKind = Literal["difference", "ratio"]
_MARKDOWN = re.compile(r"([\\`*\[\]|])|((?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")

_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"$\\{name}$" for sign, name in (("×", "times"), ("±", "pm"), ("≤", "leq"), ("≥", "geq"), ("∞", "infty"))},
    "−": "--",
}


def markdown(text: object) -> str:
    """The text as one cell of a Markdown table; markup and HTML in it are shown literally."""
    line = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(lambda found: "\\" + found[0], line)


def latex(text: object) -> str:
    """The text as one cell of a LaTeX table; commands in it are shown literally."""
    return "".join(_LATEX.get(sign, sign) for sign in one_line(text))


def level_text(value: Any) -> str:
    """A level of a factor as claims files, overrides and tables write it: 8, 0.001, identity, null."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)


def cell_text(cell: Mapping[str, Any]) -> str:
    """A cell as text, such as 'depth 8, long_skip none'; 'all trials' where nothing else varies."""
    return ", ".join(f"{name} {level_text(value)}" for name, value in cell.items()) or "all trials"


def number(value: float | None, half_width: float | None = None) -> str:
    """The value to two digits of its uncertainty, or to three digits of its own where that is unknown; '–' for none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size, digits = abs(value), 3
    if half_width is not None and math.isfinite(half_width) and half_width > 0:
        size, digits = half_width, 2
    if size == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(size))
    if decimals > 6 or max(abs(value), size) >= 1e6:
        return f"{value:.2e}"
    rounded = round(value, decimals) + 0.0  # no "-0"
    return f"{rounded:.{max(decimals, 0)}f}"


def ratio(value: float, low: float, high: float) -> str:
    """The ratio to two digits of its uncertainty; its interval is symmetric on a log scale."""
    has_interval = 0 < low < high < math.inf
    return number(value, value * min(math.log(high / low) / 2, 0.5) if has_interval else None)


def ratio_interval_text(low: float, high: float) -> str:
    """The interval of a ratio, each end to two digits of its own uncertainty."""
    if not math.isfinite(high):
        return "–"  # one seed gives no interval
    return f"[{ratio(low, low, high)}, {ratio(high, low, high)}]"


def interval_text(low: float, high: float) -> str:
    """The interval to two digits of its half width."""
    if not math.isfinite(high):
        return "–"  # one seed gives no interval
    half = (high - low) / 2
    return f"[{number(low, half)}, {number(high, half)}]"


def exponential(value: float) -> float:
    """e to the value, infinite where that is too large for a float."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def size_text(effect: float, low: float, high: float, kind: SizeKind) -> str:
    """An effect: a signed difference, or a ratio such as '×1.3'."""
    if math.isnan(effect):
        return "–"
    if kind == "ratio":
        return f"×{ratio(effect, low, high)}"
    sign = "+" if effect > 0 else ""
    return sign + number(effect, (high - low) / 2)


def size_interval_text(low: float, high: float, kind: SizeKind) -> str:
    """The interval of an effect."""
    return ratio_interval_text(low, high) if kind == "ratio" else interval_text(low, high)


def unknown_name(what: str, received: str, valid: Sequence[str]) -> str:
    """The error text for a name that is not among the valid ones, with the nearest valid one."""
    close = difflib.get_close_matches(received, valid, n=1)
    hint = f"; did you mean {printable(close[0])!r}?" if close else ""
    return f"unknown {what} {printable(received)!r}; valid: {printable(', '.join(valid)) or 'none'}{hint}"
