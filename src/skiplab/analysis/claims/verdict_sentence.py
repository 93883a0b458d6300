"""A verdict as one sentence in plain English, made from the data.

Terminal, page, documents and notebooks take it from here. It gives the value of each arm in each cell, or at both ends
of what the test is over, and then what the rule concludes. A difference is the treatment's value less the control's,
a ratio the treatment's value over the control's, as in the comparison tables.
"""

from collections.abc import Sequence
from typing import get_args

from skiplab.analysis.claims.cell_clauses import collapsed_where, effect, effect_word, heading, statement, values
from skiplab.analysis.claims.cell_verdicts import CellVerdict, Conclusion
from skiplab.analysis.claims.concluded import concluded
from skiplab.analysis.claims.plain_words import cell_words, listed, opened, split_cells
from skiplab.analysis.claims.verdicts import Verdict

_MOST_LISTED = 4  # cells that are given one by one
_MOST_NAMED = 2  # cells of one conclusion that are named where there are more


def verdict_sentence(verdict: Verdict) -> str:
    """What the study says about a claim; a second sentence says by what it is contested."""
    if not verdict.cells:
        return "The study has no cell in which this can be judged."
    sentences = [opened(_part(verdict, number)) for number in range(len(verdict.claim.parts))]
    if len(sentences) > 1:
        conclusions = [cell.conclusion for cell in verdict.cells]
        sentences.append(f"Together: {concluded(verdict.cells) or _counts(conclusions)}.")
    return " ".join([*sentences, *_contested(verdict)])


def _part(verdict: Verdict, number: int) -> str:
    """One part of a claim in its cells."""
    cells = [cell.parts[number] for cell in verdict.cells]
    shared, own = split_cells([cell.cell for cell in cells])
    conclusions = [cell.conclusion for cell in cells]
    start = f"{cell_words(shared or cells[0].cell)}, " if shared or (len(cells) == 1 and cells[0].cell) else ""
    if missing := list(dict.fromkeys(cell.paired.missing for cell in cells)) if _none_measured(cells) else []:
        return f"{start}{_counts(conclusions)}: {'; '.join(missing)}."
    if len(cells) == 1:
        return f"{start}{statement(cells[0])}; {conclusions[0]}."
    places = [cell_words(each) for each in own]
    if len(cells) > _MOST_LISTED:
        return f"{start}{_by_conclusion(cells, places)}."
    is_same = len(set(conclusions)) == 1
    if is_same and len(set(map(values, cells))) == 1:
        return f"{start}{_heading(cells)}: {values(cells[0])} in each cell; {_counts(conclusions)}."
    entries = [
        _entry(cell, place, "" if is_same else cell.conclusion, with_ends=not _end_alike(cells))
        for cell, place in zip(cells, places, strict=True)
    ]
    listing = f"{start}{_heading(cells)}: {', '.join(entries)}"
    return f"{listing}; {_counts(conclusions)}." if is_same else f"{listing}."


def _entry(cell: CellVerdict, place: str, conclusion: str, *, with_ends: bool) -> str:
    """A cell of a few: its values, where it is, what has collapsed, and what it concludes."""
    notes = "; ".join(filter(None, (collapsed_where(cell), conclusion)))
    return f"{values(cell, with_ends=with_ends)} {place}{f' ({notes})' if notes else ''}"


def _by_conclusion(cells: Sequence[CellVerdict], places: Sequence[str]) -> str:
    """Many cells by what they conclude: the least and the greatest effect, or the names of a few."""
    found = []
    for conclusion in get_args(Conclusion):
        own = [(cell, place) for cell, place in zip(cells, places, strict=True) if cell.conclusion == conclusion]
        with_size = [pair for pair in own if pair[0].has_size and pair[0].interval.n]
        sized = sorted((pair for pair in with_size if pair[0].test is pair[0].claimed), key=_advantage)
        text = f"{conclusion} in {'all ' if len(own) == len(cells) else ''}{len(own)}"
        if not own:
            continue
        if conclusion == "not applicable":
            text += ", where an arm collapsed"
        elif len(own) <= _MOST_NAMED:
            text += f" ({', '.join(f'{place}: {values(cell)}' for cell, place in own)})"
        else:
            num_collapsed = sum(not cell.has_size for cell, _ in own)
            counted = {
                "judged by the rate of collapse": len(with_size) - len(sized),
                "an arm collapsed": num_collapsed,
                "no pair of values": len(own) - len(with_size) - num_collapsed,
            }
            notes = [_range(sized)] if sized else []
            notes += [f"in {num} {what}" for what, num in counted.items() if num and conclusion != "not run"]
            text += f" ({', '.join(notes)})" if notes else ""
        found.append(text)
    return f"{_heading(cells)}, in {len(cells)} cells: {', '.join(found)}"


def _heading(cells: Sequence[CellVerdict]) -> str:
    """The heading of several cells, by the first that has values of the metric that is claimed."""
    measured = [cell for cell in cells if not cell.paired.missing]
    first = next((cell for cell in measured if cell.test is cell.claimed), measured[0])
    return heading(first, with_ends=_end_alike(cells))


def _end_alike(cells: Sequence[CellVerdict]) -> bool:
    """Whether tests that are over something go from the same level to the same level in all cells."""
    return len({cell.paired.levels[:: len(cell.paired.levels) - 1] for cell in cells if cell.paired.levels}) < 2


def _range(sized: Sequence[tuple[CellVerdict, str]]) -> str:
    """The least and the greatest effect, and where they are."""
    word = effect_word(sized[0][0])
    if len({effect(cell) for cell, _ in sized}) == 1:
        return f"{word} {effect(sized[0][0])} in each"
    return f"{word} " + " to ".join(f"{effect(cell)} {place}" for cell, place in (sized[0], sized[-1]))


def _none_measured(cells: Sequence[CellVerdict]) -> bool:
    return all(cell.paired.missing for cell in cells)


def _advantage(pair: tuple[CellVerdict, str]) -> float:
    return pair[0].interval.mean


def _counts(conclusions: Sequence[str]) -> str:
    """What cells conclude, and in how many."""
    if len(conclusions) == 1:
        return conclusions[0]
    if len(set(conclusions)) == 1:
        return f"{conclusions[0]} in {'both' if len(conclusions) == 2 else f'all {len(conclusions)}'} cells"
    counted = [f"{each} in {conclusions.count(each)}" for each in dict.fromkeys(conclusions)]
    return f"{listed(counted)} of {len(conclusions)} cells"


def _contested(verdict: Verdict) -> list[str]:
    """A sentence that says by which measurements the verdict is contested, and where; none if it isn't."""
    by_label: dict[str, list[str]] = {}
    for item in verdict.contested_by:
        place = " ".join(filter(None, (cell_words(item.cell), f"({effect(item)})")))
        by_label.setdefault(item.paired.metric.label, []).append(place)
    if not by_label:
        return []
    found = [
        f"{label}{',' if ',' in label else ''} says the opposite {listed(places)}" for label, places in by_label.items()
    ]
    return [f"Contested: {'; '.join(found)}."]
