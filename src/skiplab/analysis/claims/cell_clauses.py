"""A test in one cell as parts of a sentence: what each arm's value is, and how much that differs."""

import math
from collections.abc import Sequence
from typing import Any

from skiplab.analysis.claims.cell_verdicts import CellVerdict
from skiplab.analysis.claims.collapse import ArmSkills
from skiplab.analysis.claims.plain_words import alike, arm_words, cell_words, listed
from skiplab.analysis.frames import column
from skiplab.analysis.text import SizeKind, exponential, level_text, number, size_interval_text, size_text

_NETWORKS = " networks"


def heading(cell: CellVerdict, *, with_ends: bool) -> str:
    """The metric and the arms, of which `values` gives the values in each of several cells.

    Args:
        cell: one of them.
        with_ends: whether to say from where to where a test goes that is over something, as it is so in all of them.
    """
    contrast, label = cell.claimed.contrast, _label(cell)
    if contrast.kind == "difference":
        return f"{label} of {_both(cell, 'and')}"
    of = f" of {arm_words(contrast, contrast.treatment)}" if contrast.of_one_arm else ""
    return f"{label}{of}{_from_to(cell) if with_ends else ''}"


def values(cell: CellVerdict, *, with_ends: bool = False) -> str:
    """The value of each arm, in the order of `heading`; of a test of the rate of collapse the rates."""
    contrast = cell.test.contrast
    if cell.paired.missing:
        return cell.paired.missing
    if contrast.kind == "difference":
        text = " and ".join(_value(cell, arm) for arm in (contrast.treatment, contrast.control))
        if cell.test is cell.claimed:
            return text
        return f"rates of collapse {text}" if contrast.mean_over else f"{text} trials that collapsed"
    what = "" if cell.test is cell.claimed else "rate of collapse "
    ends = _from_to(cell) if with_ends else ""
    moves = [f"{low} to {high}" for low, high in _moves(cell)]
    if contrast.of_one_arm:
        return f"{what}{moves[0]}{ends}"
    treatment, control = (arm_words(contrast, arm) for arm in (contrast.treatment, contrast.control))
    return f"{what}{moves[0]} for {treatment} and {moves[1]} for {control}{ends}"


def statement(cell: CellVerdict) -> str:
    """What each arm's value is, as clauses of their own, with the difference and its interval."""
    contrast, label = cell.test.contrast, _label(cell)
    treatment, control = (arm_words(contrast, arm) for arm in (contrast.treatment, contrast.control))
    if contrast.kind == "difference":
        said = {arm: _value(cell, arm) for arm in (contrast.treatment, contrast.control)}
        alive = [f"{value} for {arm_words(contrast, arm)}" for arm, value in said.items() if not _is_collapse(value)]
        dead = [f"{arm_words(contrast, arm)} {value}" for arm, value in said.items() if _is_collapse(value)]
        clauses = [*dead, *([f"{label} is {' and '.join(alive)}"] if alive else [])]
        return f"{', and '.join(clauses)}{_effect_clause(cell)}{_semicolon(collapsed_where(cell))}"
    low, high = _ends(cell)
    if contrast.of_one_arm:
        start, end = _moves(cell)[0]
        text = f"{label} of {treatment} goes from {start} at {low} to {end} at {high}"
    else:
        moves = [f"from {start} to {end}" for start, end in _moves(cell)]
        text = f"from {low} to {high}, {label} goes {moves[0]} for {treatment} and {moves[1]} for {control}"
    return f"{text}{_effect_clause(cell)}{_semicolon(collapsed_where(cell))}"


def collapsed_where(cell: CellVerdict) -> str:
    """Which arms have collapsed at which levels of what the test is over, or in which cells of a mean; '' for none."""
    partly = [each for each in cell.collapse.found if each.levels]
    texts = []
    for arm in dict.fromkeys(each.arm for each in partly):
        own = [each for each in partly if each.arm == arm]
        places = listed([cell_words(each.levels) for each in own])
        texts.append(f"{arm_words(cell.test.contrast, arm)} collapsed {places}: {_learned(own)}")
    return "; ".join(texts)


def effect(cell: CellVerdict) -> str:
    """How much the treatment differs from the control, or an arm changes, to three digits."""
    if not cell.has_size:
        return "an arm collapsed"
    size = size_text(_raw(cell)[0], math.nan, math.nan, _kind(cell))
    return size if cell.test.contrast.kind in ("difference", "change") else f"{size} per {_unit(cell)}"


def effect_word(cell: CellVerdict) -> str:
    """What an effect is: a 'difference' or a 'ratio' of arms, or a 'change'."""
    return _kind(cell) if cell.test.contrast.kind == "difference" else "change"


def _semicolon(text: str) -> str:
    return f"; {text}" if text else ""


def _effect_clause(cell: CellVerdict) -> str:
    """In parentheses, the effect with its interval, the number of seeds, and what counts."""
    if not cell.has_size or cell.interval.n == 0:
        return ""
    contrast, kind = cell.test.contrast, _kind(cell)
    shown = f"{size_text(*_raw(cell), kind)} {size_interval_text(*_raw(cell)[1:], kind)}".removesuffix(" –")
    over = str(contrast.over).rsplit(".", 1)[-1]
    text = {
        "difference": f"{kind} {shown}",
        "slope": f"{shown} per {_unit(cell)} of {over}",
        "rate": f"{shown} per {_unit(cell)} of {over}",
        "interaction": f"{_between(cell)} {shown} per {_unit(cell)} of {over}",
        "change": f"{_between(cell)} {shown}",
    }[contrast.kind]
    seeds = "1 seed" if cell.interval.n == 1 else f"{cell.interval.n} seeds"
    return f" ({text}, {seeds}{_what_counts(cell)})"


def _between(cell: CellVerdict) -> str:
    """What changes where the change of one arm is held against that of the other."""
    is_ratio = _kind(cell) == "ratio"
    what = f"ratio of {_both(cell, 'to')}" if is_ratio else f"difference of {_both(cell, 'and')}"
    return f"the {what} changes by"


def _what_counts(cell: CellVerdict) -> str:
    """Which effect counts; of a claimed value, what it is and how far off counts."""
    test, is_ratio = cell.test, _kind(cell) == "ratio"
    least = f"a factor of {exponential(test.margin):.4g}" if is_ratio else f"{test.margin:.4g}"
    if test.contrast.direction == "equal":
        expected = test.contrast.expected
        return f"; claimed is {f'×{exponential(expected):.4g}' if is_ratio else f'{expected:.4g}'}, within {least}"
    return f"; only {least} or more counts" if test.margin else ""


def _is_collapse(value: str) -> bool:
    return value.startswith("collapsed")


def _value(cell: CellVerdict, arm: str) -> str:
    """The mean of an arm, to as many decimals as the other's; of events how many; or that the arm has collapsed."""
    contrast = cell.test.contrast
    whole = [each for each in cell.collapse.found if each.arm == arm and not each.levels]
    if whole and not cell.has_size:
        return f"collapsed ({_learned(whole)})"
    if cell.paired.metric.kind == "event" and not contrast.mean_over:
        own = column(cell.paired.values[arm], "value").dropna()
        return f"{own.sum():.0f} of {len(own)}"
    texts = _texts(cell, [_mean(cell, each) for each in (contrast.treatment, contrast.control)])
    return texts[0 if arm == contrast.treatment else 1]


def _learned(found: Sequence[ArmSkills]) -> str:
    """How many seeds of arms that have collapsed have learned all the same, and what their skill is."""
    num, total = sum(each.num_learned for each in found), sum(len(each.skills) for each in found)
    skills = [each.skill for each in found]
    shown = f"skill {max(skills):.2f}" if len(found) == 1 else f"skill at most {max(skills):.2f}"
    return f"{num} of {total} seeds learned, {shown}"


def _moves(cell: CellVerdict) -> list[tuple[str, str]]:
    """The values of the treatment, and of the control if it has a part, at the lowest and the highest level."""
    contrast, ends = cell.test.contrast, (cell.paired.levels[0], cell.paired.levels[-1])
    arms = dict.fromkeys((contrast.treatment, *contrast.arms))
    texts = _texts(cell, [_mean(cell, arm, level) for arm in arms for level in ends])
    return list(zip(texts[::2], texts[1::2], strict=True))


def _texts(cell: CellVerdict, means: Sequence[float]) -> list[str]:
    """Values that are compared: where ratios count, each to its own digits."""
    return [number(mean) for mean in means] if cell.paired.metric.scale == "log" else alike(means)


def _mean(cell: CellVerdict, arm: str, level: Any = None) -> float:
    """An arm's mean over seeds, of a log metric the geometric one."""
    paired = cell.paired
    rows = paired.values[arm]
    if paired.is_paired and paired.events is None and paired.n:  # the seeds of which the difference is the mean
        rows = rows.loc[rows["seed"].isin(list(paired.advantage.dropna().index))]
    own = rows if level is None else rows.loc[rows[str(cell.test.contrast.over)] == level]
    mean = float(column(own, "value").mean())
    return exponential(mean) if cell.paired.metric.scale == "log" and math.isfinite(mean) else mean


def _raw(cell: CellVerdict) -> tuple[float, float, float]:
    """The effect with its interval as it is, and not in the claimed direction; ratios for a log metric."""
    contrast, interval = cell.test.contrast, cell.interval
    own = (interval.mean, interval.low, interval.high)
    if contrast.claimed_sign < 0:
        own = (-interval.mean, -interval.high, -interval.low)
    shift = contrast.expected if contrast.of_one_arm else 0.0
    own = (own[0] + shift, own[1] + shift, own[2] + shift)
    if _kind(cell) == "ratio":
        return exponential(own[0]), exponential(own[1]), exponential(own[2])
    return own[0] + 0.0, own[1], own[2]


def _kind(cell: CellVerdict) -> SizeKind:
    return "ratio" if cell.paired.metric.scale == "log" else "difference"


def _unit(cell: CellVerdict) -> str:
    return "unit" if cell.test.contrast.kind == "rate" else "doubling"


def _label(cell: CellVerdict) -> str:
    over, label = cell.test.contrast.mean_over, cell.paired.metric.label
    text = f"{label}, mean over {listed(over)}" if over else label
    return f"{text}," if "," in text else text


def _both(cell: CellVerdict, joined_by: str) -> str:
    """Both arms: 'residual and plain networks'."""
    contrast = cell.claimed.contrast
    treatment, control = (arm_words(contrast, arm) for arm in (contrast.treatment, contrast.control))
    if treatment.endswith(_NETWORKS) and control.endswith(_NETWORKS):
        treatment = treatment.removesuffix(_NETWORKS)
    return f"{treatment} {joined_by} {control}"


def _from_to(cell: CellVerdict) -> str:
    low, high = _ends(cell)
    return f" from {low} to {high}"


def _ends(cell: CellVerdict) -> tuple[str, str]:
    """The lowest and the highest level of what the test is over."""
    lowest, highest = cell.paired.levels[0], cell.paired.levels[-1]
    return f"{str(cell.test.contrast.over).rsplit('.', 1)[-1]} {level_text(lowest)}", level_text(highest)
