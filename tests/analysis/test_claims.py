import hashlib

import pytest
from example_claims import CLAIMS

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.errors import SkiplabError

TEST = CLAIMS[CLAIMS.index("    contrast: interaction") :]


def law(expected, within):
    """A slope that is claimed to equal a number."""
    lines = (
        "contrast: slope",
        "over: depth",
        "direction: equal",
        f"expected: {expected}",
        f"smallest_effect: {within}",
    )
    return "".join(f"    {line}\n" for line in lines)


def test_a_claims_file_is_read(claims_file):
    path = claims_file()
    claims = read_claims(path)
    (claim,) = claims.claims
    assert claims.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (claim.parts[0].contrast.metric, claim.parts[0].contrast.over) == ("skill_train", "depth")
    assert claim.parts[0].margin == 0.02
    assert claim.cells == {"long_skip": ("none", "concat")}


def test_evidence_inherits_the_contrast(claims_file):
    text = CLAIMS + "    evidence: [{metric: frechet_distance, direction: lower}]\n"
    (item,) = read_claims(claims_file(text)).claims[0].evidence
    assert (item.contrast.kind, item.contrast.over, item.contrast.direction) == ("interaction", "depth", "lower")
    assert item.smallest_effect is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("direction: higher", "direction: up", r"direction is 'up'; valid: higher, lower"),
        ("contrast: interaction", "contrast: ratio", r"contrast is 'ratio'; valid: difference, slope"),
        ("smallest_effect: 0.02", "smallest_effect: -1", r"smallest_effect is '-1'; valid: a number of at least 0"),
        ("smallest_effect: 0.02", "smallest_efect: 0.02", r"'smallest_efect'.*did you mean 'smallest_effect'"),
        ("    over: depth\n", "", r"over is 'None'; valid with contrast interaction: a factor"),
        (
            "contrast: interaction\n    over: depth\n",
            "contrast: change\n",
            r"over is 'None'; valid with contrast change: a factor whose levels are numbers, such as depth",
        ),
        ("    metric: skill_train\n", "", r"claim 1 lacks metric"),
        ("control: plain", "control: identity", r"both 'identity'"),
        ("    metric:", "    treatment: plain\n    metric:", r"claim 'depth': control and treatment are both 'plain'"),
        (
            "direction: higher",
            "direction: equal",
            r"contrast is interaction; valid with direction equal: slope, rate",
        ),
        (
            "direction: higher",
            "direction: higher\n    expected: 1",
            r"expected is '1', but direction is higher; valid: direction equal, or no expected",
        ),
        (TEST, law("-0.5", "0"), r"smallest_effect is '0'; valid with direction equal: a number above 0"),
        (TEST, law("often", "0.1"), r"expected is 'often'; valid with direction equal: a number"),
        (TEST, law("null", "0.1"), r"expected is 'None'; valid with direction equal: a number"),
        ("tuned: false", "tuned: perhaps", r"tuned is 'perhaps'; valid: true, false"),
        ("cells: {long_skip: [none, concat]}", "cells: {depth: [4]}", r"both over and cells"),
        (
            "    direction: higher\n",
            "    direction: higher\n    mean_over: [long_skip]\n",
            r"long_skip is in both mean_over and cells",
        ),
        (
            "direction: higher",
            "direction: higher\n    mean_over: depth",
            r"mean_over is 'depth'; valid: a list of factors",
        ),
        ("direction: higher", "direction: higher\n    mean_over: [depth]", r"mean_over has depth, which is compared"),
        ("cells: {long_skip: [none, concat]}", "cells: none", r"cells is none; valid: a list of levels"),
        ("claims:\n", "claims: [\n", r"is not valid YAML"),
    ],
)
def test_mistakes_are_explained(claims_file, old, new, message):
    assert old in CLAIMS
    with pytest.raises(SkiplabError, match=message):
        read_claims(claims_file(CLAIMS.replace(old, new)))


def test_a_claim_may_have_arms_and_a_law_of_its_own(claims_file):
    entry = CLAIMS[CLAIMS.index("  - name: depth") :].replace(TEST, law(-0.5, 0.1)).replace("name: depth", "name: law")
    own = f"{entry}    treatment: rezero\n    control: identity\n"
    first, second = read_claims(claims_file(CLAIMS + own)).claims
    assert (first.parts[0].contrast.control, first.parts[0].contrast.treatment) == ("plain", "identity")
    contrast = second.parts[0].contrast
    assert (contrast.control, contrast.treatment, contrast.expected) == ("identity", "rezero", -0.5)
    assert second.parts[0].margin == 0.1


def test_claims_must_differ_in_name(claims_file):
    entry = CLAIMS[CLAIMS.index("  - name: depth") :]
    with pytest.raises(SkiplabError, match="two claims are named 'depth'"):
        read_claims(claims_file(CLAIMS + entry))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SkiplabError, match=r"nowhere\.yaml: No such file"):
        read_claims(tmp_path / "nowhere.yaml")
