"""Claims whose sentences are read phrase by phrase."""

import pytest

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.errors import SkiplabError

CLAIM = """\
factor: connection
control: plain
treatment: identity
claims:
  - name: c
    text: Shortcuts keep early layers learning as depth grows.
    reads: {Shortcuts: identity plain, keep early layers learning: update_ratio higher,
            as depth grows: interaction depth}
    metric: update_ratio
    contrast: interaction
    over: depth
    direction: higher
"""
PARTS = """\
factor: connection
control: plain
treatment: identity
claims:
  - name: c
    text: Plain networks get worse with depth, and residual ones don't.
    parts:
      - {says: Plain networks get worse with depth, arm: plain, metric: skill_train, contrast: slope, over: depth,
         direction: lower, reads: {Plain networks: plain, get worse: skill_train lower, with depth: slope depth}}
      - {says: residual ones don't, arm: identity, metric: skill_train, contrast: slope, over: depth,
         direction: not_lower}
"""


def test_a_reading_that_is_the_whole_test_is_accepted(claims_file):
    (claim,) = read_claims(claims_file(CLAIM)).claims
    assert claim.parts[0].says == claim.text
    (claim,) = read_claims(claims_file(PARTS)).claims
    assert [part.contrast.treatment for part in claim.parts] == ["plain", "identity"]
    assert [part.contrast.arms for part in claim.parts] == [("plain",), ("identity",)]


@pytest.mark.parametrize(
    ("text", "old", "new", "says"),
    [
        (CLAIM, "identity plain, keep", "identity, keep", "reads stands for depth, higher, identity, interaction"),
        (CLAIM, "update_ratio higher,", "update_ratio lower,", "valid, as the test has it: depth, higher"),
        (CLAIM, "as depth grows: interaction", "as depth falls: interaction", "reads has the phrases"),
        (CLAIM, "over: depth\n    direction: higher", "over: width\n    direction: higher", "width"),
        (
            CLAIM,
            "    contrast: interaction\n",
            "    contrast: interaction\n    arm: plain\n",
            "arm is 'plain' and contrast",
        ),
        (PARTS, "says: residual ones don't", "says: residual ones do", "valid: parts that quote the whole text"),
        (PARTS, "and residual", "and most residual", "valid: parts that quote the whole text"),
        (
            PARTS,
            "over: depth,\n         direction: not_lower",
            "over: width,\n         direction: not_lower",
            "its parts have over depth, width",
        ),
        (
            PARTS,
            "    parts:",
            "    metric: skill_val\n    parts:",
            "has parts and metric; valid: metric in each of the parts",
        ),
        (PARTS, "direction: not_lower", "direction: never_lower", "valid: higher, lower, not_higher, not_lower, equal"),
    ],
)
def test_a_sentence_that_says_something_else_is_refused(claims_file, text, old, new, says):
    assert old in text
    with pytest.raises(SkiplabError) as refused:
        read_claims(claims_file(text.replace(old, new)))
    assert says in str(refused.value)


def test_one_part_is_no_list_of_parts(claims_file):
    text = PARTS[: PARTS.index("      - {says: residual")].replace(", and residual ones don't", "")
    with pytest.raises(SkiplabError, match="valid: a list of two or more tests"):
        read_claims(claims_file(text))
