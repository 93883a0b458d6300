"""The words of a page's verdicts that a stranger may not know, each with what it means."""

import re
from collections.abc import Sequence
from typing import Any

from skiplab.analysis.claims.claims import FEWEST_SEEDS
from skiplab.analysis.study.collapsed import COLLAPSED_BELOW

_MEANINGS = {
    "shared settings": "all arms have the same settings, such as one learning rate, which may suit one better",
    "tuned": "each arm has, of the settings tried, those that suited it best",
    "exploratory": "the question was asked after the trials",
    "preliminary": f"a test rests on {FEWEST_SEEDS} seeds, the fewest that are judged",
    "cell": "one combination of what else varies, such as depth or long skips; arms are compared within it",
    "look": "a number of seeds, fixed before the study, at which claims are judged",
    "collapsed": f"learned nothing, a mean skill below {COLLAPSED_BELOW:g}",
    "not applicable": "an arm collapsed, and there is nothing to compare inside a network that learned nothing",
    "no meaningful difference": "the effect is smaller than the smallest that counts",
    "inconclusive": "too few seeds to say yes or no",
}


def page_words(qualifiers: str, verdicts: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """The words that stand in what the page says of all claims and of each, with their meanings."""
    said = " ".join([qualifiers, *(verdict[key] for verdict in verdicts for key in ("badge", "caveats", "sentence"))])
    return [(word, meaning) for word, meaning in _MEANINGS.items() if re.search(rf"\b{word}s?\b", said)]
