"""Where some seeds of an arm collapse and others do not, their rate of collapse is judged, not the mean of both."""

from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.verdict_files import verdicts_table
from skiplab.analysis.claims.verdict_text import cell_line
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.study.study import read_study
from skiplab.metrics import Metric

SKILL = Metric(label="skill", direction="higher", scale="bounded", if_diverged=0.0)
CLAIM = """\
factor: connection
control: plain
treatment: identity
claims:
  - {{name: c, text: t, metric: {metric}, contrast: {contrast}, direction: {direction}, smallest_effect: {least}}}
"""


def verdict_on(runs, claims_file, skills, *, least=0.02, metric="skill_train", **test):
    """skills: of each seed, by arm and depth."""
    for (arm, depth), values in skills.items():
        for seed, value in enumerate(values):
            runs.trial(
                seed=seed,
                choices={"connection": arm},
                factors={"depth": depth},
                summary={"skill_train": value},
                metrics={"skill_train": asdict(SKILL)},
            )
    test = {"contrast": "difference", "direction": "higher"} | test
    claims = read_claims(claims_file(CLAIM.format(metric=metric, least=least, **test)))
    return judge(read_study("s", runs.folder), claims)[0]


def test_an_arm_that_collapses_in_most_seeds_is_worse_by_its_rate(runs, claims_file):
    """The mean of .7 and 0 has a wide t interval; that 9 of 12 pairs differ one way and none the other has p = 2^-9."""
    plain, identity = [0.7] * 3 + [0.0] * 9, [0.7] * 12
    verdict = verdict_on(runs, claims_file, {("plain", 4): plain, ("identity", 4): identity})
    (cell,) = verdict.cells[0].parts
    assert (cell.conclusion, cell.interval.mean) == ("supported", 0.75)
    assert cell.permutation_p == pytest.approx(stats.binomtest(9, 9, alternative="greater").pvalue)
    assert cell.p.supported >= cell.permutation_p
    line = cell_line(cell)
    assert line.effect == "+0.75"
    assert "the rate of collapse is judged here, of which 0.1 counts, and not the mean of skill_train" in line.notes[0]
    row = verdicts_table([verdict]).iloc[0]
    assert (row["metric"], row["instead_of"], row["direction"]) == ("collapsed", "skill_train", "lower")
    assert row["smallest_effect"] == 0.1


def test_seeds_that_all_say_the_same_are_judged_by_their_mean(runs, claims_file):
    """Some seeds of plain collapse and some nearly do; identity is far better in each."""
    plain, identity = [0.01, 0.09, 0.01, 0.19, 0.02], [0.96, 0.95, 0.97, 0.96, 0.95]
    cell = verdict_on(runs, claims_file, {("plain", 4): plain, ("identity", 4): identity}).cells[0].parts[0]
    assert (cell.conclusion, cell.test is cell.claimed) == ("supported", True)


def test_five_collapses_in_fifteen_decide_nothing(runs, claims_file):
    """By the mean, plain is worse; but the seeds that learn do as well."""
    plain, identity = [0.71, 0.69] * 5 + [0.01] * 5, [0.7] * 15
    cell = verdict_on(runs, claims_file, {("plain", 4): plain, ("identity", 4): identity}).cells[0].parts[0]
    assert stats.ttest_1samp(np.subtract(identity, plain), 0.02, alternative="greater").pvalue < 0.025
    assert cell.conclusion == "inconclusive"


def test_a_slope_becomes_the_slope_of_the_rate(runs, claims_file):
    """Plain networks of 16 blocks collapse in all but one of ten seeds, those of 4 and 8 in none."""
    skills = {("plain", depth): [0.7] * 10 for depth in (4, 8)} | {("plain", 16): [0.7] + [0.0] * 9}
    skills |= {("identity", depth): [0.7] * 10 for depth in (4, 8, 16)}
    contrast = "slope, over: depth, arm: plain"
    cell = verdict_on(runs, claims_file, skills, contrast=contrast, direction="lower").cells[0].parts[0]
    assert cell.conclusion == "supported"
    assert cell.interval.mean == pytest.approx(0.45)  # from 0 to .9 in two doublings
    assert len(cell.paired.events or ()) == 3


@pytest.mark.parametrize("skills", [[0.7, 0.71, 0.69], [0.0, 0.01, 0.0]], ids=["none", "all"])
def test_an_arm_of_one_kind_is_judged_by_its_mean(runs, claims_file, skills):
    verdict = verdict_on(runs, claims_file, {("plain", 4): skills, ("identity", 4): [0.8, 0.81, 0.8]})
    (cell,) = verdict.cells[0].parts
    assert cell.test is cell.claimed
    assert cell.paired.metric.label == "skill"
    assert verdicts_table([verdict]).iloc[0]["instead_of"] == ""


def test_a_claim_may_ask_for_the_rate_itself(runs, claims_file):
    plain, identity = [0.0] * 12, [0.7] * 12
    skills = {("plain", 4): plain, ("identity", 4): identity}
    cell = verdict_on(runs, claims_file, skills, metric="collapsed", direction="lower").cells[0].parts[0]
    assert (cell.conclusion, cell.interval.mean) == ("supported", 1.0)
    assert cell_line(cell).effect == "+1.00"


@pytest.mark.parametrize(("kind", "smallest"), [("rate", 0.1 / 60), ("slope", 0.025)], ids=["per unit", "per doubling"])
def test_a_tenth_counts_over_all_levels(runs, claims_file, kind, smallest):
    """No rate of collapse can change by 0.1 with each of 60 blocks: by that, nothing would ever count."""
    skills = {("plain", depth): [0.7] * 8 for depth in (4, 16)} | {("plain", 64): [0.7] + [0.0] * 7}
    skills |= {("identity", depth): [0.7] * 8 for depth in (4, 16, 64)}
    test = {"contrast": f"{kind}, over: depth, arm: plain", "direction": "not_lower", "least": 0.001}
    cell = verdict_on(runs, claims_file, skills, **test).cells[0].parts[0]
    assert (cell.conclusion, cell.test.margin) == ("contradicted", pytest.approx(smallest))
    assert "of which 0.1 over all levels of depth counts" in cell.notes[0]


def test_arms_without_a_common_seed_are_asked_for_the_rate_too(runs, claims_file):
    """The mean of five collapses and .7 has too narrow an interval, whether seeds are shared or not."""
    plain, identity = [0.7] + [0.0] * 5, [0.7] * 6
    for seed, value in enumerate([*plain, *identity]):
        arm = "plain" if seed < len(plain) else "identity"
        summary, metrics = {"skill_train": value}, {"skill_train": asdict(SKILL)}
        runs.trial(seed=seed, choices={"connection": arm}, summary=summary, metrics=metrics)
    text = CLAIM.format(metric="skill_train", contrast="difference", direction="higher", least=0.02)
    cell = judge(read_study("s", runs.folder), read_claims(claims_file(text)))[0].cells[0].parts[0]
    assert not cell.paired.is_paired
    assert cell.test is not cell.claimed
