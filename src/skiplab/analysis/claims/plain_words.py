"""Arms, cells and values in the words of a sentence. Tables and figures keep the names that options have."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from skiplab.analysis.claims.contrasts import Contrast
from skiplab.analysis.study.arms import DEFAULT_FACTOR, Cell
from skiplab.analysis.text import level_text, number

_WITHOUT = {"long_skip": "long skips", "norm": "normalization"}
RESIDUAL = "residual networks"  # the identity beside plain networks
_DIGITS = 3  # of the largest of several values


def arm_words(contrast: Contrast, arm: str) -> str:
    """An arm as the subject of a sentence: 'plain networks', 'residual networks', 'norm group'."""
    if contrast.factor != DEFAULT_FACTOR:
        return arm if contrast.factor == "arm" else f"{contrast.factor.rsplit('.', 1)[-1]} {arm}"
    is_residual = arm == "identity" and "plain" in (contrast.control, contrast.treatment)
    return RESIDUAL if is_residual else f"{arm} networks"


def cell_words(cell: Mapping[str, Any]) -> str:
    """Where something holds: 'at depth 16 with init he without long skips'; '' where nothing varies."""
    groups: dict[str, list[str]] = {"at": [], "with": [], "without": []}
    for name, level in cell.items():
        preposition, words = _level_words(name, level)
        groups[preposition].append(words)
    joined_by = {"at": "and", "with": "and", "without": "or"}
    return " ".join(
        f"{preposition} {listed(words, joined_by[preposition])}" for preposition, words in groups.items() if words
    )


def split_cells(cells: Sequence[Cell]) -> tuple[Cell, list[Cell]]:
    """The levels that all cells share, and what is left of each of them."""
    shared = {
        name: level
        for name, level in cells[0].items()
        if len(cells) > 1 and all(level_text(other.get(name)) == level_text(level) for other in cells)
    }
    return shared, [{name: level for name, level in cell.items() if name not in shared} for cell in cells]


def alike(values: Sequence[float]) -> list[str]:
    """Values that are compared, to as many decimals as the largest of them needs: 0.750 and 0.004."""
    sizes = [abs(value) for value in values if math.isfinite(value) and value != 0]
    if not sizes or not 1e-4 <= max(sizes) < 1e6:
        return [number(value) for value in values]
    decimals = max(0, _DIGITS - 1 - math.floor(math.log10(max(sizes))))
    return [f"{round(value, decimals) + 0.0:.{decimals}f}" if math.isfinite(value) else "–" for value in values]


def listed(parts: Sequence[str], word: str = "and") -> str:
    """'a', 'a and b', 'a, b and c'."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def opened(text: str) -> str:
    """The text with a capital at its start."""
    return text[:1].upper() + text[1:]


def _level_words(name: str, level: Any) -> tuple[str, str]:
    """The preposition and the words of a level: ('at', 'depth 16'), ('without', 'long skips')."""
    short, text = name.rsplit(".", 1)[-1], level_text(level)
    if text == "none":
        return "without", _WITHOUT.get(name, short)
    is_number = not isinstance(level, bool) and text.replace(".", "", 1).isdigit()
    return "at" if is_number else "with", f"{short} {text}"
