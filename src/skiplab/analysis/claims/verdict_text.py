"""Verdicts and their tests as text: the same in the terminal and on the page."""

from collections.abc import Sequence
from typing import NamedTuple, get_args

from skiplab.analysis.claims.cell_verdicts import CellVerdict, Conclusion, bound_to_exceed
from skiplab.analysis.claims.collapse import ArmSkills
from skiplab.analysis.claims.concluded import concluded
from skiplab.analysis.claims.p_values import needs_more_seeds
from skiplab.analysis.claims.verdicts import Verdict
from skiplab.analysis.statistics.intervals import Interval, paired_interval
from skiplab.analysis.statistics.sample_size import MOST_SEEDS
from skiplab.analysis.text import SizeKind, cell_text, exponential, level_text, number, size_interval_text, size_text
from skiplab.metrics import Metric


class CellLine(NamedTuple):
    """A cell of a verdict as text.

    effect: 'collapsed' instead of a size where an arm has collapsed.
    effect_size: Hedges' g.
    improvement: the probability that a seed of the arm claimed to be better exceeds one of the other.
    """

    cell: str
    conclusion: str
    effect: str
    interval: str
    n: str
    welch: str
    correlation: str
    effect_size: str
    improvement: str
    notes: tuple[str, ...]


def headline(verdict: Verdict) -> str:
    """The verdict with all of its caveats: the conclusion, and where it holds."""
    return _with_caveats(_where(verdict), verdict.caveats)


def counted_headline(verdict: Verdict) -> str:
    """The same for result.json, with all cells counted and none named."""
    return _with_caveats(_counted(verdict), verdict.caveats)


def badge(verdict: Verdict, said: Sequence[str] = ()) -> str:
    """The verdict in a few words, with its own caveats; `said` as in `own_caveats`."""
    return _with_caveats(conclusion_text(verdict), own_caveats(verdict, said))


def conclusion_text(verdict: Verdict) -> str:
    """The conclusion, and if there are several cells, where it holds."""
    if len(verdict.cells) > 1:
        return _where(verdict)
    return f"{verdict.conclusion}, contested" if verdict.num_contested else verdict.conclusion


def own_caveats(verdict: Verdict, said: Sequence[str]) -> list[str]:
    """What limits this verdict, but for the look to come, which the next step says.

    said: caveats that were said before, for all verdicts, and are left out.
    """
    return [each for each in verdict.caveats if each not in said and not each.startswith("next at ")]


def shared_caveats(verdicts: Sequence[Verdict]) -> list[str]:
    """What limits every one of them."""
    first, *others = verdicts
    return [each for each in first.caveats if all(each in other.caveats for other in others)]


def qualifiers(verdicts: Sequence[Verdict]) -> str:
    """What limits every verdict, as a sentence that is said once; '' for nothing."""
    shared = shared_caveats(verdicts) if verdicts else []
    which = "All verdicts" if len(verdicts) > 1 else "The verdict"
    return f"{which}: {', '.join(shared)}." if shared else ""


def _where(verdict: Verdict) -> str:
    """The conclusion, and where it holds: few cells are named, many counted."""
    named = concluded(verdict.cells)
    if not named:
        return _counted(verdict)
    return _with_contested(f"{'mixed: ' if verdict.conclusion == 'mixed' else ''}{named}", verdict)


def _counted(verdict: Verdict) -> str:
    """The conclusion, and in how many cells it holds."""
    total, conclusion = len(verdict.cells), verdict.conclusion
    text: str = conclusion
    if conclusion == "mixed":
        counts = [f"{name} in {count}" for name in get_args(Conclusion) if (count := verdict.count(name))]
        text = f"mixed: {', '.join(counts)} of {total} cells"
    elif conclusion == "not applicable":
        text = "not applicable: an arm collapsed"
    else:
        if conclusion == "supported":
            text = f"supported in {verdict.count('supported')} of {total} cells"
        if left_out := verdict.count("not applicable"):
            text += f", not applicable in {left_out}{'' if conclusion == 'supported' else f' of {total} cells'}"
    return _with_contested(text, verdict)


def _with_contested(text: str, verdict: Verdict) -> str:
    return f"{text}, contested in {verdict.num_contested}" if verdict.num_contested else text


def _with_caveats(text: str, caveats: Sequence[str]) -> str:
    return f"{text} ({', '.join(caveats)})" if caveats else text


def contrast_text(cell: CellVerdict) -> str:
    """What a test compares, in one line."""
    contrast, metric = cell.test.contrast, cell.paired.metric
    arms = f"{contrast.treatment} over {contrast.control}"
    gap = f"how their {'ratio' if metric.scale == 'log' else 'difference'} changes"
    what = {
        "difference": arms,
        "slope": f"{contrast.treatment}, change per doubling of {contrast.over}",
        "rate": f"{contrast.treatment}, change per unit of {contrast.over}",
        "interaction": f"{arms}, {gap} per doubling of {contrast.over}",
        "change": f"{arms}, {gap} {_from_to(cell)}",
    }[contrast.kind]
    if contrast.mean_over:
        what += f", mean over {', '.join(contrast.mean_over)}"
    least, log = cell.test.margin, metric.scale == "log"
    least_text = f"×{exponential(least):.4g}" if log else f"{least:.4g}"
    if contrast.direction == "equal":
        expected = f"×{exponential(contrast.expected):.4g}" if log else f"{contrast.expected:.4g}"
        return f"{metric.label}: {what}; claimed equal to {expected}, within {least_text}"
    if contrast.direction in ("not_higher", "not_lower"):
        return f"{metric.label}: {what}; claimed {contrast.direction.replace('_', ' ')} by {least_text}"
    return f"{metric.label}: {what}; claimed {contrast.direction}, smallest effect that counts {least_text}"


def part_text(cells: Sequence[CellVerdict]) -> str:
    """What one part of a claim compares in its cells; the notes of a cell say where its rate of collapse is judged."""
    return contrast_text(next((cell for cell in cells if cell.test is cell.claimed), cells[0]))


def cell_line(cell: CellVerdict) -> CellLine:
    """A test in one cell as text."""
    notes = list(cell.notes)
    if cell.paired.contrast.kind in ("interaction", "change") and not cell.paired.missing:
        notes.insert(0, _own_changes(cell))
    if cell.paired.contrast.direction == "equal" and not cell.paired.missing:
        notes.insert(0, _against_expected(cell))
    if cell.collapsed:
        notes.append(f"collapsed: {', '.join(map(_learned, cell.collapse.found))}")
    if cell.conclusion == "inconclusive":
        notes += [_holm_text(cell), seeds_text(cell)]
    metric, interval = cell.paired.metric, cell.interval
    return CellLine(
        cell=cell_text(cell.cell),
        conclusion=cell.conclusion,
        effect=effect_text(metric, interval) if cell.has_size else "collapsed",
        interval=effect_interval_text(metric, interval) if cell.has_size else "–",
        n=str(interval.n),
        welch=effect_interval_text(metric, cell.welch) if cell.has_size else "–",
        correlation=number(cell.correlation, 0.1),
        effect_size=number(cell.effect_size),
        improvement=number(cell.probability_of_improvement, 0.1),
        notes=tuple(note for note in notes if note),
    )


def _learned(arm: ArmSkills) -> str:
    return f"{arm.name} ({arm.num_learned} of {len(arm.skills)} seeds learned)"


def effect_text(metric: Metric, interval: Interval) -> str:
    """An advantage: a signed difference, or a ratio such as '×1.3' for a log metric."""
    return size_text(*_reported(metric, interval), _kind(metric))


def effect_interval_text(metric: Metric, interval: Interval) -> str:
    """The interval of an advantage on the same scale."""
    return size_interval_text(*_reported(metric, interval)[1:], _kind(metric))


def _reported(metric: Metric, interval: Interval) -> tuple[float, float, float]:
    """The mean and both ends of the interval; ratios for a log metric."""
    unscaled = exponential if metric.scale == "log" else float
    return unscaled(interval.mean), unscaled(interval.low), unscaled(interval.high)


def _kind(metric: Metric) -> SizeKind:
    return "ratio" if metric.scale == "log" else "difference"


def seeds_text(cell: CellVerdict) -> str:
    """How many seeds would decide an inconclusive cell."""
    if cell.seeds is None:
        return ""
    low, high = cell.seeds
    if low is None:
        return f"no number of seeds up to {MOST_SEEDS} would decide at this mean"
    upper = f"to {high}" if high is not None else f"to more than {MOST_SEEDS}"
    seeds = str(low) if low == high else f"{low} {upper}"
    return f"{seeds} seeds would decide"


def _holm_text(cell: CellVerdict) -> str:
    """Why a cell is undecided although its interval lies beyond the smallest effect."""
    interval, paired = cell.interval, cell.paired
    if paired.survivors_only or needs_more_seeds(paired):
        return ""
    if interval.low > bound_to_exceed(cell.test) and not paired.may_be_smaller:
        p = cell.p.supported
    elif interval.high < -cell.test.margin and not paired.may_be_greater:
        p = cell.p.contradicted
    else:
        return ""
    return f"Holm-adjusted one-sided p {p:.2g} is above {cell.look.alpha:.2g}"


def _own_changes(cell: CellVerdict) -> str:
    """Each arm's own change, per doubling or from the lowest level to the highest."""
    found = []
    for arm, change in (
        (cell.test.contrast.control, cell.paired.control),
        (cell.test.contrast.treatment, cell.paired.treatment),
    ):
        found.append(f"{arm} {effect_text(cell.paired.metric, paired_interval(change))}")
    return f"{', '.join(found)} {_from_to(cell) if cell.test.contrast.kind == 'change' else 'per doubling'}"


def _against_expected(cell: CellVerdict) -> str:
    """The slope or rate itself; the advantage is its excess over the expected one."""
    metric, own = cell.paired.metric, paired_interval(cell.paired.treatment)
    per = "doubling" if cell.test.contrast.kind == "slope" else "unit"
    interval = effect_interval_text(metric, own)
    return (
        f"{cell.test.contrast.treatment} {effect_text(metric, own)} {interval} per {per} of {cell.test.contrast.over}"
    )


def _from_to(cell: CellVerdict) -> str:
    """The two levels of a change, such as 'from frozen_fraction 0 to 0.5'."""
    over = cell.test.contrast.over
    if len(cell.paired.levels) != 2:
        return f"from the lowest {over} to the highest"
    lowest, highest = (level_text(float(level)) for level in cell.paired.levels)
    return f"from {over} {lowest} to {highest}"
