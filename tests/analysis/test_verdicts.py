import math
import re
from dataclasses import asdict

import numpy as np
import pytest
from example_claims import CLAIMS
from rich.console import Console
from scipy import stats

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.next_step import next_step
from skiplab.analysis.claims.verdict_terminal import render_verdicts
from skiplab.analysis.claims.verdict_text import cell_line, counted_headline, headline, seeds_text
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.study.study import read_study
from skiplab.metrics import Metric


def judged(runs, path):
    return judge(read_study("s", runs.folder), read_claims(path))


def printed(verdicts, width=100):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(render_verdicts(verdicts, details=True))
        return console.export_text()


def difference(direction="higher", smallest_effect="0.02", metric="skill_train", extra=""):
    return f"""\
factor: connection
control: plain
treatment: identity
claims:
  - name: c
    text: t
    metric: {metric}
    contrast: difference
    direction: {direction}
    smallest_effect: {smallest_effect}
{extra}"""


def pairs(runs, advantages, *, base=0.3, status="done"):
    """A study of one cell whose seeds have these differences in skill."""
    for seed, advantage in enumerate(advantages):
        for arm, skill in (("plain", base), ("identity", base + advantage)):
            summary = {"skill_train": skill, "loss_val": 1 - skill}
            runs.trial(seed=seed, choices={"connection": arm}, summary=summary, status=status)


def test_a_planted_effect_is_found(fill, claims_file):
    (verdict,) = judged(fill(effect=0.15), claims_file())
    assert verdict.conclusion == "supported"
    assert headline(verdict) == "supported in 2 of 2 cells (at shared settings)"
    for cell in verdict.cells:
        assert abs(cell.parts[0].interval.mean - 0.15) < 4 * 0.01 / np.sqrt(5)  # a slope's difference has the sd 0.01


def test_an_opposite_effect_contradicts(fill, claims_file):
    (verdict,) = judged(fill(effect=-0.15), claims_file())
    assert verdict.conclusion == "contradicted"
    assert "contradicted" in printed([verdict])


def test_no_effect_is_no_meaningful_difference(fill, claims_file):
    (verdict,) = judged(fill(effect=0.0), claims_file())
    assert verdict.conclusion == "no meaningful difference"


def test_an_absent_effect_is_not_supported_more_often_than_the_level_allows(runs, claims_file):
    claims = read_claims(claims_file(difference(smallest_effect="0")))
    generator = np.random.default_rng(0)
    words = []
    for number in range(60):
        for seed in range(4):
            for arm in ("plain", "identity"):
                skill = 0.5 + 0.05 * generator.standard_normal()
                choices = {"connection": arm}
                runs.trial(
                    f"n{number}", seed=seed, choices=choices, factors={"number": number}, summary={"skill_train": skill}
                )
        words.append(judge(read_study(f"n{number}", runs.folder), claims)[0].conclusion)
    assert words.count("supported") <= stats.binom.ppf(0.999, 60, 0.025)
    assert words.count("inconclusive") > 40


def test_the_rule_by_hand(runs, claims_file):
    advantages = [0.10, 0.14, 0.12, 0.16]
    pairs(runs, advantages)
    low = stats.t.interval(0.95, 3, np.mean(advantages), stats.sem(advantages))[0]
    for margin, word in ((low - 1e-6, "supported"), (low + 1e-6, "inconclusive"), (0.2, "no meaningful difference")):
        (verdict,) = judged(runs, claims_file(difference(smallest_effect=repr(float(margin)))))
        assert verdict.conclusion == word
    (verdict,) = judged(runs, claims_file(difference("lower", repr(float(low - 1e-6)))))
    assert verdict.conclusion == "contradicted"


def test_holm_counts_every_cell_of_the_file(runs, claims_file):
    advantages = [0.02, 0.06, 0.05, 0.07]
    pairs(runs, advantages)
    p = stats.ttest_1samp(advantages, 0.0, alternative="greater").pvalue
    assert 0.025 / 3 < p < 0.025
    text = difference(smallest_effect="0.0")
    assert judged(runs, claims_file(text))[0].conclusion == "supported"
    others = "".join(
        f"  - {{name: other{n}, text: t, metric: kernel_distance, contrast: difference, direction: higher}}\n"
        for n in range(2)
    )
    first, *rest = judged(runs, claims_file(text + others))
    assert first.conclusion == "inconclusive"  # claims that were not run still count as tests
    assert first.cells[0].parts[0].p.supported == pytest.approx(3 * p)
    assert "Holm" in " ".join(cell_line(first.cells[0].parts[0]).notes)
    assert [verdict.conclusion for verdict in rest] == ["not run", "not run"]


def test_holm_is_named_where_it_makes_both_p_values_1(runs, claims_file):
    pairs(runs, [0.02, 0.06, 0.05, 0.07])
    others = "".join(
        f"  - {{name: other{n}, text: t, metric: kernel_distance, contrast: difference, direction: higher}}\n"
        for n in range(200)
    )
    cell = judged(runs, claims_file(difference(smallest_effect="0.0") + others))[0].cells[0].parts[0]
    assert (cell.p.supported, cell.p.contradicted) == (1.0, 1.0)
    assert "Holm-adjusted one-sided p 1 is above 0.025" in cell_line(cell).notes


def test_few_seeds(runs, claims_file):
    pairs(runs, [0.3, 0.31])
    (verdict,) = judged(runs, claims_file(difference()))
    assert verdict.conclusion == "too few seeds"
    pairs(runs, [0.3, 0.31, 0.32])
    (verdict,) = judged(runs, claims_file(difference()))
    assert verdict.conclusion == "supported"
    assert "preliminary" in verdict.caveats


def test_one_seed_has_no_interval(runs, claims_file):
    pairs(runs, [0.3])
    (verdict,) = judged(runs, claims_file(difference()))
    assert verdict.conclusion == "too few seeds"
    assert math.isnan(verdict.cells[0].parts[0].interval.low)
    assert "too few seeds" in printed([verdict])


def test_no_verdict_rests_on_survivors(runs, claims_file):
    pairs(runs, [0.3, 0.31, 0.32, 0.33])
    runs.trial(seed=4, choices={"connection": "identity"}, status="diverged")
    runs.trial(seed=4, choices={"connection": "plain"}, summary={"skill_train": 0.3, "loss_val": 0.7})
    (verdict,) = judged(runs, claims_file(difference("lower", metric="loss_val")))
    assert verdict.conclusion == "inconclusive"
    assert (verdict.cells[0].parts[0].p.supported, verdict.cells[0].parts[0].p.contradicted) == (1.0, 1.0)
    text = printed([verdict])
    assert "identity: 1 diverged" in text
    (verdict,) = judged(runs, claims_file(difference()))  # skill has a value for a diverged trial
    assert verdict.cells[0].parts[0].interval.n == 5


def test_survivors_show_no_equality_either(runs, claims_file):
    pairs(runs, [0.0, 0.001, 0.0, -0.001])
    assert judged(runs, claims_file(difference(metric="loss_val")))[0].conclusion == "no meaningful difference"
    runs.trial(seed=4, choices={"connection": "plain"}, status="diverged")
    runs.trial(seed=4, choices={"connection": "identity"}, summary={"loss_val": 0.7})
    assert judged(runs, claims_file(difference(metric="loss_val")))[0].conclusion == "inconclusive"


def reached(runs, plain, identity):
    """A study of one cell: for each arm a pair a seed, the steps to a threshold and whether it was reached."""
    for arm, trials in (("plain", plain), ("identity", identity)):
        for seed, (steps, was_reached) in enumerate(trials):
            summary = {"steps_to_threshold": steps, "threshold_reached": float(was_reached)}
            runs.trial(seed=seed, choices={"connection": arm}, summary=summary)


def test_a_verdict_stands_on_lower_bounds_that_can_only_help_it(runs, claims_file):
    reached(runs, [(900.0, False), (1000.0, False), (950.0, True)], [(100.0, True), (110.0, True), (104.0, True)])
    (fewer,) = judged(runs, claims_file(difference("lower", metric="steps_to_threshold")))
    assert fewer.conclusion == "supported"
    text = printed([fewer], 200)
    assert "plain: 2 not reached in training, counted with a lower bound" in text
    assert "the true effect may be greater than shown" in text
    (more,) = judged(runs, claims_file(difference("higher", metric="steps_to_threshold")))
    assert more.conclusion == "contradicted"


def test_no_verdict_rests_on_lower_bounds_that_could_overturn_it(runs, claims_file):
    reached(runs, [(900.0, True), (1000.0, True), (950.0, True)], [(100.0, False), (110.0, True), (104.0, True)])
    for direction in ("lower", "higher"):
        (verdict,) = judged(runs, claims_file(difference(direction, metric="steps_to_threshold")))
        assert verdict.conclusion == "inconclusive"


FEWER, MORE = (100.0, 400.0, 700.0), (300.0, 500.0, 900.0)  # steps of three seeds
NEVER = "no number of seeds up to 1000 would decide at this mean"


@pytest.mark.parametrize(
    ("bounded", "plain", "identity", "said"),
    [
        ((), MORE, FEWER, "5 to 38 seeds would decide"),
        (("plain",), MORE, FEWER, "5 to 38 seeds would decide"),
        (("identity",), FEWER, MORE, "5 to 38 seeds would decide"),
        (("identity",), MORE, FEWER, NEVER),
        (("plain",), FEWER, MORE, NEVER),
        (("plain", "identity"), MORE, FEWER, NEVER),
    ],
)
def test_more_seeds_are_advised_only_where_lower_bounds_leave_a_verdict(
    runs, claims_file, bounded, plain, identity, said
) -> None:
    reached(
        runs,
        [(steps, "plain" not in bounded) for steps in plain],
        [(steps, "identity" not in bounded) for steps in identity],
    )
    (verdict,) = judged(runs, claims_file(difference("lower", metric="steps_to_threshold")))
    assert verdict.conclusion == "inconclusive"
    assert seeds_text(verdict.cells[0].parts[0]) == said
    assert ("To decide it" in next_step(verdict)) is (said != NEVER)


def test_more_seeds_are_advised_while_there_are_too_few_to_know_where_the_mean_lies(runs, claims_file) -> None:
    reached(runs, [(300.0, True), (500.0, True)], [(100.0, False), (400.0, True)])
    (verdict,) = judged(runs, claims_file(difference("lower", metric="steps_to_threshold")))
    assert verdict.conclusion == "too few seeds"
    assert "To decide it" in next_step(verdict)


def test_more_seeds_are_advised_where_bounds_can_only_help_a_claim_of_no_loss(runs, claims_file) -> None:
    """Steps of identity that may be fewer: a mean below 0 and above what counts can become 'not more'."""
    reached(runs, [(300.0, False), (500.0, False), (900.0, False)], [(315.0, True), (450.0, True), (1035.0, True)])
    (verdict,) = judged(runs, claims_file(difference("not_higher", "0.2", metric="steps_to_threshold")))
    (part,) = verdict.cells[0].parts
    assert (verdict.conclusion, part.interval.mean < 0, part.paired.may_be_greater) == ("inconclusive", True, True)
    assert seeds_text(part) not in ("", NEVER)


def test_arms_that_both_ended_before_are_not_equal(runs, claims_file):
    trials = [(100.0, False)] * 6
    reached(runs, trials, [(100.0, True)] * 6)
    (verdict,) = judged(runs, claims_file(difference(metric="steps_to_threshold")))
    assert verdict.conclusion == "inconclusive"
    reached(runs, [(steps, True) for steps, _ in trials], [(100.0, True)] * 6)
    (verdict,) = judged(runs, claims_file(difference(metric="steps_to_threshold")))
    assert verdict.conclusion == "no meaningful difference"


def test_a_change_is_judged_and_told_with_its_levels(runs, claims_file):
    for seed, cost in enumerate((0.30, 0.32, 0.31, 0.33)):
        for arm, losses in (("plain", (0.4, 0.4 + cost)), ("identity", (0.3, 0.35))):
            for share, loss in zip((0.0, 1 / 3), losses, strict=True):
                factors = {"frozen_fraction": round(share, 4)}
                runs.trial(seed=seed, choices={"connection": arm}, factors=factors, summary={"loss_val": loss})
    text = difference("lower", "0.1", "loss_val").replace("difference", "change\n    over: frozen_fraction")
    (verdict,) = judged(runs, claims_file(text))
    assert verdict.conclusion == "supported"
    assert verdict.cells[0].parts[0].interval.mean == pytest.approx(0.265)  # the mean cost, 0.315, less 0.05
    shown = printed([verdict], 200)
    assert "identity over plain, how their difference changes from frozen_fraction 0 to 0.3333; claimed lower" in shown
    assert "plain +0.315, identity +0.0500 from frozen_fraction 0 to 0.3333" in shown


def law(expected, within):
    text = difference("equal", within).replace("difference", "slope\n    over: depth")
    return text.replace("direction: equal", f"direction: equal\n    expected: {expected}")


def test_a_law_is_judged_by_whether_its_value_lies_within_reach(runs, claims_file):
    slopes = [-0.10, -0.14, -0.12, -0.16]
    for seed, slope in enumerate(slopes):
        for doublings, depth in enumerate((4, 8, 16)):
            summary = {"skill_train": 0.9 + slope * doublings, "loss_val": 0.5}
            runs.trial(seed=seed, choices={"connection": "identity"}, factors={"depth": depth}, summary=summary)
    low, high = stats.t.interval(0.95, 3, np.mean(slopes), stats.sem(slopes))
    reach = -0.13 - low
    for expected, within, word in (
        (-0.13, reach + 1e-6, "supported"),
        (-0.13, reach - 1e-6, "inconclusive"),
        (low - 0.05 - 1e-6, 0.05, "inconclusive"),  # beyond the interval, but the test has two sides
        (-0.5, 0.05, "contradicted"),
        (0.5, 0.05, "contradicted"),
    ):
        (verdict,) = judged(runs, claims_file(law(expected, within)))
        assert verdict.conclusion == word
        assert high - expected == pytest.approx(verdict.cells[0].parts[0].interval.high)
    shown = printed([verdict])
    assert "identity, change per doubling of depth; claimed equal to 0.5, within 0.05" in shown
    assert "identity -0.130 [-0.171, -0.089] per doubling of depth" in shown


def test_equal_differences_decide_from_six_seeds_on(runs, claims_file):
    pairs(runs, [0.25] * 5, base=0.5)
    (verdict,) = judged(runs, claims_file(difference()))
    assert verdict.conclusion == "inconclusive"
    shown = printed([verdict], 200)
    assert "all seeds are equal, which says nothing about their spread: no interval" in shown
    assert "an exact test decides here, from 6 seeds on" in shown
    pairs(runs, [0.25] * 6, base=0.5)
    (verdict,) = judged(runs, claims_file(difference()))
    assert verdict.conclusion == "supported"
    assert verdict.cells[0].parts[0].p.supported == pytest.approx(2**-6)


@pytest.mark.parametrize(
    ("direction", "advantages", "word"),
    [
        ("not_lower", [0.0, 0.001, -0.001, 0.002], "supported"),
        ("not_lower", [0.3, 0.31, 0.32, 0.33], "supported"),
        ("not_lower", [-0.3, -0.31, -0.32, -0.33], "contradicted"),
        ("not_lower", [-0.1, 0.1, -0.15, 0.12], "inconclusive"),
        ("not_higher", [0.0, 0.001, -0.001, 0.002], "supported"),
        ("not_higher", [-0.3, -0.31, -0.32, -0.33], "supported"),
        ("not_higher", [0.3, 0.31, 0.32, 0.33], "contradicted"),
    ],
)
def test_that_nothing_changes_is_claimed_up_to_the_smallest_effect(runs, claims_file, direction, advantages, word):
    pairs(runs, advantages)
    (verdict,) = judged(runs, claims_file(difference(direction)))
    assert verdict.conclusion == word
    assert f"claimed {direction.replace('_', ' ')} by 0.02" in printed([verdict], 200)


PARTS = """\
factor: connection
control: plain
treatment: identity
claims:
  - name: c
    text: Plain networks get worse with depth, residual ones don't.
    parts:
      - {says: Plain networks get worse with depth, arm: plain, metric: skill_train, contrast: slope, over: depth,
         direction: lower, smallest_effect: 0.02}
      - {says: residual ones don't, arm: identity, metric: skill_train, contrast: slope, over: depth,
         direction: not_lower, smallest_effect: 0.02}
"""


def sloping(runs, plain, identity):
    """A study over depth whose arms change by so much a doubling, more or less."""
    for arm, slope in (("plain", plain), ("identity", identity)):
        for seed, jitter in enumerate((-0.001, 0.0, 0.001, 0.002)):
            for doublings, depth in enumerate((4, 8, 16)):
                summary = {"skill_train": 0.7 + (slope + jitter) * doublings}
                runs.trial(seed=seed, choices={"connection": arm}, factors={"depth": depth}, summary=summary)


@pytest.mark.parametrize(
    ("plain", "identity", "parts", "word"),
    [
        (-0.1, 0.0, ["supported", "supported"], "supported"),
        (-0.1, 0.1, ["supported", "supported"], "supported"),
        (-0.1, -0.05, ["supported", "contradicted"], "contradicted"),
        (-0.1, -0.02, ["supported", "inconclusive"], "inconclusive"),
        (0.0, 0.0, ["no meaningful difference", "supported"], "no meaningful difference"),
        (0.1, 0.1, ["contradicted", "supported"], "contradicted"),
    ],
)
def test_a_claim_of_two_parts_needs_both(runs, claims_file, plain, identity, parts, word):
    sloping(runs, plain, identity)
    (verdict,) = judged(runs, claims_file(PARTS))
    assert [part.conclusion for part in verdict.cells[0].parts] == parts
    assert verdict.conclusion == word
    shown = printed([verdict], 200)
    assert "part 1, “Plain networks get worse with depth”" in shown
    assert "part 2, “residual ones don't”" in shown
    assert "skill: identity, change per doubling of depth; claimed not lower by 0.02" in shown


SKILL = Metric(label="skill", direction="higher", scale="bounded", if_diverged=0.0)
MECHANISM = Metric(label="update ratio", direction="higher", scale="log", role="mechanism")


@pytest.mark.parametrize(("base", "word"), [(0.3, "supported"), (0.01, "not applicable")])
def test_the_mechanism_of_a_collapsed_arm_is_not_judged(runs, claims_file, base, word):
    for seed in range(4):
        for arm, skill, value in (("plain", base, 1.0 + 0.01 * seed), ("identity", 0.7, 2.0 + 0.03 * seed)):
            summary = {"skill_train": skill, "update_ratio": value}
            metrics = {"skill_train": asdict(SKILL), "update_ratio": asdict(MECHANISM)}
            runs.trial(seed=seed, choices={"connection": arm}, summary=summary, metrics=metrics)
    outcome, mechanism = judged(runs, claims_file(difference() + OTHER.format("update_ratio")))
    assert mechanism.conclusion == word
    assert outcome.conclusion == "inconclusive"  # all four seeds are equal
    if base < 0.05:
        assert headline(mechanism).startswith("not applicable: an arm collapsed")
        assert (cell_line(mechanism.cells[0].parts[0]).effect, mechanism.cells[0].parts[0].p.supported) == (
            "collapsed",
            1.0,
        )


OTHER = """\
  - {{name: other, text: t, metric: {}, contrast: difference, direction: higher, smallest_effect: 0.1}}
"""


def test_cells_without_a_mechanism_are_left_out_and_counted(runs, claims_file):
    for depth, base in ((4, 0.3), (16, 0.01)):
        for seed in range(4):
            for arm, skill, value in (("plain", base, 1.0 + 0.01 * seed), ("identity", 0.7, 2.0 + 0.03 * seed)):
                summary = {"skill_train": skill, "update_ratio": value}
                metrics = {"skill_train": asdict(SKILL), "update_ratio": asdict(MECHANISM)}
                runs.trial(
                    seed=seed, choices={"connection": arm}, factors={"depth": depth}, summary=summary, metrics=metrics
                )
    (verdict,) = judged(runs, claims_file(difference(metric="update_ratio", smallest_effect="0.1")))
    assert headline(verdict) == "supported at depth 4, not applicable at depth 16 (at shared settings)"
    assert counted_headline(verdict) == "supported in 1 of 2 cells, not applicable in 1 (at shared settings)"


def test_evidence_on_the_other_side_contests(fill, claims_file):
    evidence = "    evidence: [{metric: frechet_distance, direction: higher, smallest_effect: 0.02}]\n"
    (verdict,) = judged(fill(effect=0.15), claims_file(CLAIMS + evidence))
    assert verdict.conclusion == "supported"
    assert headline(verdict).startswith("supported in 2 of 2 cells, contested in 2 (")
    assert {item.paired.contrast.metric for item in verdict.contested_by} == {"frechet_distance"}
    assert "contested: Frechet distance" in printed([verdict])
    agreeing = evidence.replace("higher", "lower")
    assert "contested" not in headline(judged(fill(effect=0.15), claims_file(CLAIMS + agreeing))[0])


def test_evidence_contests_in_its_own_cell_alone(runs, claims_file):
    """At depth 4 the claim is contradicted and so is the evidence; at depth 8 the claim is supported."""
    for depth, sign in ((4, -1), (8, 1)):
        for seed in range(4):
            plain = {"skill_train": 0.5, "loss_val": 0.5}
            gain = 0.2 + 0.01 * seed
            identity = {"skill_train": 0.5 + sign * gain, "loss_val": 0.5 - sign * gain}
            for arm, summary in (("plain", plain), ("identity", identity)):
                runs.trial(seed=seed, choices={"connection": arm}, factors={"depth": depth}, summary=summary)
    text = difference(extra="    evidence: [{metric: loss_val, direction: lower, smallest_effect: 0.02}]\n")
    (verdict,) = judged(runs, claims_file(text))
    assert [cell.conclusion for cell in verdict.cells] == ["contradicted", "supported"]
    assert [item.conclusion for item in verdict.evidence] == ["contradicted", "supported"]
    assert (verdict.num_contested, verdict.contested_by) == (0, ())
    (verdict,) = judged(runs, claims_file(text.replace("direction: lower", "direction: higher")))
    assert [len(cell.contested_by) for cell in verdict.cells] == [1, 1]


def test_evidence_is_adjusted_over_all_evidence_of_the_file(runs, claims_file):
    advantages = [0.02, 0.06, 0.05, 0.07]
    pairs(runs, advantages)
    p = stats.ttest_1samp(advantages, 0.0, alternative="greater").pvalue
    assert 0.025 / 3 < p < 0.025
    contesting = "{metric: loss_val, direction: higher}"
    for number, word in ((1, "contradicted"), (3, "inconclusive")):
        others = ", {metric: kernel_distance, direction: higher}" * (number - 1)
        text = difference(smallest_effect="0.0", extra=f"    evidence: [{contesting}{others}]\n")
        (verdict,) = judged(runs, claims_file(text))
        assert verdict.evidence[0].conclusion == word
        assert verdict.evidence[0].p.contradicted == pytest.approx(number * p)


def test_what_the_evidence_says_is_told_cell_by_cell(fill, claims_file):
    evidence = "    evidence: [{metric: frechet_distance, direction: lower}, {metric: loss_val, direction: higher}]\n"
    (verdict,) = judged(fill(effect=0.15), claims_file(CLAIMS + evidence))
    shown = " ".join(printed([verdict], 300).split())
    words = {item.paired.contrast.metric: item.conclusion for item in verdict.evidence}
    assert words == {"frechet_distance": "supported", "loss_val": "contradicted"}
    assert headline(verdict) == "supported in 2 of 2 cells, contested in 2 (at shared settings)"
    assert re.search(r"evidence, Frechet distance: long_skip \w+ supported ×\S+; long_skip \w+ supported ×", shown)
    assert re.search(r"evidence, [^:]*validation[^:]*: long_skip \w+ contradicted -", shown)


def test_evidence_of_a_collapsed_arm_has_no_size(runs, claims_file):
    pairs(runs, [0.5, 0.51, 0.52], base=0.01)
    evidence = "    evidence: [{metric: loss_val, direction: lower}]\n"
    (verdict,) = judged(runs, claims_file(difference(extra=evidence)))
    assert "supported (plain collapsed)" in " ".join(printed([verdict], 200).split())


def test_a_claim_about_a_study_without_a_record_is_not_run(runs, claims_file):
    runs.list_key("s", "eeeeeeeeeeeeeeee")
    (verdict,) = judged(runs, claims_file())
    assert verdict.conclusion == "not run"


def test_depth_without_value_is_said(fill, claims_file):
    (verdict,) = judged(fill(effect=0.15), claims_file())
    assert "depth had no value on this data" in printed([verdict], 200)


def test_depth_with_value_is_not_called_worthless(runs, claims_file):
    generator = np.random.default_rng(0)
    for seed in range(4):
        for depth in (4, 8, 16):
            for arm, gain in (("plain", 0.0), ("identity", 0.1)):
                skill = 0.5 + gain * np.log2(depth / 4) + 0.01 * generator.standard_normal()
                choices = {"connection": arm, "long_skip": "none"}
                runs.trial(seed=seed, choices=choices, factors={"depth": depth}, summary={"skill_train": skill})
    text = CLAIMS.replace("[none, concat]", "[none]")
    assert "no value" not in printed(judged(runs, claims_file(text)), 200)


def test_a_collapsed_arm_gets_no_effect_size(runs, claims_file):
    pairs(runs, [0.7, 0.71, 0.72], base=0.01)
    (verdict,) = judged(runs, claims_file(difference()))
    line = cell_line(verdict.cells[0].parts[0])
    assert (line.conclusion, line.effect, line.interval) == ("supported", "collapsed", "–")
    assert "collapsed: plain (0 of 3 seeds learned)" in line.notes


def test_missing_cells_and_metrics_are_not_run(fill, claims_file):
    runs = fill(effect=0.15)
    (verdict,) = judged(runs, claims_file(CLAIMS.replace("[none, concat]", "[none, add]")))
    assert [cell.conclusion for cell in verdict.cells] == ["supported", "not run"]
    assert headline(verdict) == "mixed: supported without long skips, not run with long_skip add (at shared settings)"
    (verdict,) = judged(runs, claims_file(CLAIMS.replace("metric: skill_train", "metric: kernel_distance")))
    assert verdict.conclusion == "not run"
    assert "kernel_distance was not measured; evaluator=[kernel_distance] measures it" in printed([verdict])


def test_marks(fill, claims_file):
    runs = fill(effect=0.15)
    (tuned,) = judged(runs, claims_file(CLAIMS.replace("tuned: false", "tuned: true")))
    assert tuned.caveats == ("at shared settings, though the claims file says tuned",)
    (undeclared,) = judged(runs, claims_file(CLAIMS.replace("    smallest_effect: 0.02\n", "")))
    assert undeclared.caveats == ("at shared settings", "exploratory")
    assert undeclared.claims_sha256[:12] in printed([undeclared])


def test_verdicts_fit_a_terminal_of_100_columns(fill, claims_file):
    text = printed(judged(fill(effect=0.15), claims_file()))
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(("day", "late"), [("2026-11-27", True), ("2026-11-26", False)])
def test_a_test_that_was_corrected_after_trials_says_so(runs, claims_file, day, late):
    for seed in range(4):
        for arm, skill in (("plain", 0.3), ("identity", 0.5 + 0.01 * seed)):
            provenance = {"first_started": "2026-11-26T10:00:00+00:00"}
            runs.trial(seed=seed, choices={"connection": arm}, summary={"skill_train": skill}, provenance=provenance)
    (verdict,) = judged(runs, claims_file(difference(extra=f"    corrected: {day}\n")))
    assert ("its test was corrected on 2026-11-27, after trials" in verdict.caveats) == late
