"""Names and numbers as text: what a record says is shown, never obeyed."""

import difflib
import math
import re
from collections.abc import Sequence
from typing import Any

from skiplab.printable import one_line, printable

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
    """The text as one cell of a Markdown table, with markup and HTML shown as they stand."""
    line = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(lambda found: "\\" + found[0], line)


def latex(text: object) -> str:
    """The text as one cell of a LaTeX table, commands shown as they stand."""
    return "".join(_LATEX.get(sign, sign) for sign in one_line(text))


def level_text(value: Any) -> str:
    """A level of a factor as claims files, options and tables write it: 8, 0.001, identity, null."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)


def cell_text(cell: dict[str, Any]) -> str:
    """A cell in words, 'depth 8, long_skip none'; 'all trials' where nothing else varies."""
    return ", ".join(f"{name} {level_text(value)}" for name, value in cell.items()) or "all trials"


def number(value: float, half_width: float | None = None) -> str:
    """The value to two digits of its uncertainty, or to three of its own where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    known = half_width is not None and math.isfinite(half_width) and half_width > 0
    size, digits = (half_width, 2) if known else (abs(value), 3)
    if size == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(size))
    if decimals > 6 or max(abs(value), size) >= 1e6:
        return f"{value:.2e}"
    rounded = round(value, decimals) + 0.0  # no "-0"
    return f"{rounded:.{max(decimals, 0)}f}"


def ratio(value: float, low: float, high: float) -> str:
    """The ratio to two digits of its uncertainty, for intervals that are even on a log scale."""
    even = 0 < low < high < math.inf
    return number(value, value * min(math.log(high / low) / 2, 0.5) if even else None)


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


def size_text(effect: float, low: float, high: float, kind: str) -> str:
    """An effect as a reader wants it: a signed difference, or '×1.3' where kind is 'ratio'."""
    if math.isnan(effect):
        return "–"
    if kind == "ratio":
        return f"×{ratio(effect, low, high)}"
    sign = "+" if effect > 0 else ""
    return sign + number(effect, (high - low) / 2)


def size_interval_text(low: float, high: float, kind: str) -> str:
    """The interval of an effect."""
    return ratio_interval_text(low, high) if kind == "ratio" else interval_text(low, high)


def unknown_name(what: str, received: str, valid: Sequence[str]) -> str:
    """What to say of a name that isn't among the valid ones."""
    close = difflib.get_close_matches(received, valid, n=1)
    hint = f"; did you mean {printable(close[0])!r}?" if close else ""
    return f"unknown {what} {printable(received)!r}; valid: {printable(', '.join(valid)) or 'none'}{hint}"
