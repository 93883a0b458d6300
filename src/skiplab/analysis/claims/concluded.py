"""What a claim's cells conclude, by the names of the cells where these are few."""

from collections.abc import Sequence
from typing import get_args

from skiplab.analysis.claims.cell_verdicts import Conclusion
from skiplab.analysis.claims.plain_words import cell_words, listed, split_cells
from skiplab.analysis.claims.verdicts import ClaimCell

_MOST_NAMED = 3  # cells


def concluded(cells: Sequence[ClaimCell]) -> str:
    """'supported at depth 16, inconclusive at depth 4 and at depth 64'; '' where they agree or are too many."""
    if len(cells) > _MOST_NAMED or len({cell.conclusion for cell in cells}) < 2:
        return ""
    _, rests = split_cells([cell.cell for cell in cells])
    places: dict[str, list[str]] = {name: [] for name in get_args(Conclusion)}
    for cell, rest in zip(cells, rests, strict=True):
        places[cell.conclusion].append(cell_words(rest))
    return ", ".join(f"{name} {listed(own)}" for name, own in places.items() if own)
