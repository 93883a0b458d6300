"""Whether a claim's sentence says what its tests test.

A claim of several parts quotes its text: each part `says` its own words of it. Any part may read its words phrase by
phrase, and say what each phrase stands for in the test:

    reads:
      Plain networks: plain
      get worse: skill_train lower
      with depth: slope depth

The phrases must be the whole of the part's words, in their order, and the words behind them the whole of the test. A
phrase may also stand for a cell to which the claim is limited, such as `norm batch`.
"""

import re
from collections.abc import Mapping, Sequence

from skiplab.analysis.claims.claims import Test
from skiplab.errors import SkiplabError
from skiplab.printable import printable

# Words that join the parts of a sentence and claim nothing themselves.
_JOINING = frozenset({"and", "but", "while", "than", "yet"})


def check_parts(text: str, parts: Sequence[str], where: str) -> None:
    """Check that the parts quote a text: all of its words, in order, but for those that join them.

    Raises:
        SkiplabError: they don't.
    """
    rest, quoted = _words(text), [word for part in parts for word in _words(part)]
    if [word for word in rest if word not in _JOINING] != [word for word in quoted if word not in _JOINING]:
        raise SkiplabError(
            f"{where}: its parts say {printable(' | '.join(parts))!r} and its text {printable(text)!r}; valid: parts "
            "that quote the whole text, in order"
        )


def check_reading(test: Test, cells: Mapping[str, Sequence[str]], where: str) -> None:
    """Check that the phrases of a part are its words, and that what they stand for is the whole of its test.

    Raises:
        SkiplabError: they aren't.
    """
    phrases = [word for phrase in test.reads for word in _words(phrase)]
    if phrases != _words(test.says):
        raise SkiplabError(
            f"{where}: reads has the phrases {printable(' | '.join(test.reads))!r} of {printable(test.says)!r}; valid: "
            "all of its words, in order"
        )
    named = {word for words in test.reads.values() for word in words.split()}
    needed = set(test_words(test))
    allowed = needed | {word for name, levels in cells.items() for text in (name, *levels) for word in text.split()}
    if not needed <= named <= allowed:
        raise SkiplabError(
            f"{where}: reads stands for {printable(', '.join(sorted(named)))}; valid, as the test has it: "
            f"{printable(', '.join(sorted(needed)))}"
        )


def test_words(test: Test) -> list[str]:
    """The words of a test that its sentence must stand for: arms, metric, contrast, factors, direction, expected."""
    contrast = test.contrast
    words = [*contrast.arms, contrast.metric, contrast.kind, contrast.over, *contrast.mean_over, contrast.direction]
    if contrast.direction == "equal":
        words.append(f"{contrast.expected:g}")
    return [part for word in words if word is not None for part in word.split()]


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'’-]+", text.casefold())
