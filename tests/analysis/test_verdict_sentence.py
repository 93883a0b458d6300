"""The sentence of a verdict says what the data say, in words that a reader knows."""

import numpy as np
import pytest
from example_claims import CLAIMS
from rich.console import Console

from shell_lines import ROOT, fenced
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.compare_command import compare
from skiplab.analysis.claims.next_step import next_step
from skiplab.analysis.claims.plain_words import alike, cell_words
from skiplab.analysis.claims.verdict_sentence import verdict_sentence
from skiplab.analysis.claims.verdict_terminal import render_verdicts
from skiplab.analysis.claims.verdict_text import badge, qualifiers
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.page.report import report_page
from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables.comparison import Selection

HEAD = "factor: connection\ncontrol: plain\ntreatment: identity\n"
SKILL = """\
  - name: c
    text: Residual networks learn more.
    metric: skill_train
    contrast: {contrast}
    direction: {direction}
    smallest_effect: {least}
"""


def claims_text(contrast="difference", direction="higher", least="0.02", extra="", head=""):
    return f"{HEAD}{head}claims:\n{SKILL.format(contrast=contrast, direction=direction, least=least)}{extra}"


def fill_arms(runs, skills, *, study="s", choices=None, factors=None, seeds=(-0.001, 0.0, 0.001, 0.002, -0.002)):
    """Trials whose arms have these skills, more or less."""
    for seed, jitter in enumerate(seeds):
        for arm, skill in skills.items():
            own = skill + jitter * (1 if arm == "identity" else 0.5)
            summary = {"skill_train": own, "loss_val": 1 - own, "frechet_distance": 100 * np.exp(-own)}
            runs.trial(
                study, seed=seed, choices={"connection": arm} | (choices or {}), factors=factors, summary=summary
            )


def judged(runs, path, study="s"):
    return judge(read_study(study, runs.folder), read_claims(path))


def said(runs, path):
    (verdict,) = judged(runs, path)
    return verdict_sentence(verdict)


def printed(verdicts, *, details=False):
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(render_verdicts(verdicts, details=details))
        return " ".join(console.export_text().split())


def test_an_arm_that_learned_nothing_collapsed(runs, claims_file):
    for depth in (8, 16):
        fill_arms(runs, {"plain": 0.0, "identity": 0.75}, choices={"long_skip": "none"}, factors={"depth": depth})
        fill_arms(runs, {"plain": 0.7, "identity": 0.75}, choices={"long_skip": "add"}, factors={"depth": depth})
    cells = "    cells: {depth: [16], long_skip: [none]}\n"
    (verdict,) = judged(runs, claims_file(claims_text(extra=cells)))
    assert verdict_sentence(verdict) == (
        "At depth 16 without long skips, plain networks collapsed (0 of 5 seeds learned, skill 0.00), and skill is "
        "0.750 for residual networks; supported."
    )
    assert "failed" not in printed([verdict], details=True)


def test_a_mean_says_in_which_of_its_cells_an_arm_collapsed(runs, claims_file):
    for depth, plain in ((4, 0.5), (16, 0.0)):
        fill_arms(runs, {"plain": plain, "identity": 0.75}, factors={"depth": depth})
    mean = said(runs, claims_file(claims_text(extra="    mean_over: [depth]\n")))
    assert mean.startswith(
        "Skill, mean over depth, is 0.750 for residual networks and 0.250 for plain networks (difference +0.5"
    )
    assert mean.endswith("; plain networks collapsed at depth 16: 0 of 5 seeds learned, skill 0.00; supported.")


def test_one_cell_has_its_difference_its_interval_and_what_counts(runs, claims_file):
    fill_arms(runs, {"plain": 0.5, "identity": 0.75})
    sentence = said(runs, claims_file(claims_text()))
    assert sentence.startswith("Skill is 0.750 for residual networks and 0.500 for plain networks (difference +0.25")
    assert sentence.endswith(", 5 seeds; only 0.02 or more counts); supported.")
    lower = said(runs, claims_file(claims_text(direction="lower")))  # the difference stays that of the arms
    assert lower.startswith("Skill is 0.750 for residual networks and 0.500 for plain networks (difference +0.25")
    assert lower.endswith("contradicted.")


def test_a_few_cells_are_given_one_by_one(runs, claims_file):
    fill_arms(runs, {"plain": 0.7, "identity": 0.7}, factors={"depth": 4})
    fill_arms(runs, {"plain": 0.5, "identity": 0.75}, factors={"depth": 16})
    assert said(runs, claims_file(claims_text())) == (
        "Skill of residual and plain networks: 0.700 and 0.700 at depth 4 (no meaningful difference), 0.750 and 0.500 "
        "at depth 16 (supported)."
    )
    assert said(runs, claims_file(claims_text(least="0.3"))).endswith(
        "depth 16; no meaningful difference in both cells."
    )


def test_many_cells_are_counted_and_their_extremes_named(runs, claims_file):
    for depth, gain in zip((2, 4, 8, 16, 32), (0.0, 0.1, 0.2, 0.3, 0.4), strict=True):
        fill_arms(runs, {"plain": 0.5, "identity": 0.5 + gain}, factors={"depth": depth})
    assert said(runs, claims_file(claims_text())) == (
        "Skill of residual and plain networks, in 5 cells: supported in 4 (difference +0.100 at depth 4 to +0.400 at "
        "depth 32), no meaningful difference in 1 (at depth 2: 0.500 and 0.500)."
    )


def sloping(runs, plain, identity):
    for depth, plain_skill, skill in zip((4, 8, 16), plain, identity, strict=True):
        fill_arms(runs, {"plain": plain_skill, "identity": skill}, factors={"depth": depth})


def test_slopes_and_interactions_give_both_ends(runs, claims_file):
    sloping(runs, (0.7, 0.35, 0.0), (0.7, 0.72, 0.74))
    over = "\n    over: depth"
    slope = said(runs, claims_file(claims_text(f"slope{over}\n    arm: plain", "lower")))
    assert slope.startswith("Skill of plain networks goes from 0.700 at depth 4 to 0.000 at 16 (-0.35")
    assert (
        "per doubling of depth, 5 seeds; only 0.02 or more counts); plain networks collapsed at depth 16: 0 of 5 seeds"
        in slope
    )
    both = said(runs, claims_file(claims_text(f"interaction{over}")))
    assert both.startswith(
        "From depth 4 to 16, skill goes from 0.700 to 0.740 for residual networks and from 0.700 to 0.000 for plain "
        "networks (the difference of residual and plain networks changes by +0.37"
    )


def test_ratios_of_ratios_have_a_gloss(runs, claims_file):
    sloping(runs, (0.7, 0.5, 0.3), (0.7, 0.7, 0.7))
    text = claims_text("interaction\n    over: depth", "lower", "0.1").replace("skill_train", "frechet_distance")
    (verdict,) = judged(runs, claims_file(text))
    sentence = verdict_sentence(verdict)
    assert sentence.startswith("From depth 4 to 16, Frechet distance goes from 49.7 to 49.7 for residual networks")
    assert "the ratio of residual to plain networks changes by ×0.81" in sentence
    assert "only a factor of 1.105 or more counts" in sentence
    assert "identity over plain, how their ratio changes per doubling of depth" in printed([verdict], details=True)


def test_what_contests_a_verdict_is_named(fill, claims_file):
    evidence = "    evidence: [{metric: frechet_distance, direction: higher, smallest_effect: 0.02}]\n"
    (verdict,) = judged(fill(effect=0.15), claims_file(CLAIMS + evidence))
    assert (
        "Contested: Frechet distance says the opposite without long skips (×0.866 per doubling) and with"
        in verdict_sentence(verdict)
    )
    assert badge(verdict, verdict.caveats) == "supported in 2 of 2 cells, contested in 2"


def test_what_limits_all_verdicts_is_said_once(fill, claims_file):
    other = CLAIMS.split("claims:\n")[1].replace("name: depth", "name: other")
    verdicts = judged(fill(effect=0.15), claims_file(CLAIMS + other))
    assert qualifiers(verdicts) == "All verdicts: at shared settings."
    assert printed(verdicts, details=True).count("at shared settings") == 1
    assert qualifiers(verdicts[:1]) == "The verdict: at shared settings."


def test_an_undecided_claim_names_the_command_that_decides_it(runs, claims_file):
    fill_arms(runs, {"plain": 0.5, "identity": 0.51}, seeds=(-0.05, 0.0, 0.05, 0.02, -0.03))
    (verdict,) = judged(runs, claims_file(claims_text(head="looks: [3, 5, 10]\n")))
    assert next_step(verdict).startswith("To decide it: skiplab decide s (look to come: 10 seeds; ")
    assert next_step(verdict, "make it", "`").startswith("To decide it: `make it` (look to come: 10 seeds; ")
    (verdict,) = judged(runs, claims_file(claims_text(head="looks: [3, 5]\n")))
    assert "skiplab decide s --claims COPY, with looks at more seeds" in next_step(verdict)
    (verdict,) = judged(runs, claims_file(claims_text(head="looks: [7, 9]\n")))
    assert next_step(verdict) == "To decide it: skiplab decide s (looks to come: 7 and 9 seeds)"
    (verdict,) = judged(runs, claims_file(claims_text(least="0.5")))
    assert (verdict.conclusion, next_step(verdict)) == ("no meaningful difference", "")


def test_a_question_without_claims_is_decided_by_a_draft_of_them(runs):
    fill_arms(runs, {"plain": 0.5, "identity": 0.51}, seeds=(-0.05, 0.0, 0.05, 0.02, -0.03))
    (verdict,) = read_study("s", runs.folder).compare("skill_train")
    said = (
        "To decide it: `skiplab claims s` drafts a claims file, and `skiplab decide s --claims FILE` adds seeds by it ("
    )
    assert next_step(verdict, quote="`").startswith(said)


def test_looks_that_come_too_early_are_not_offered_as_what_decides(runs, claims_file):
    """Between 7 and 35 seeds would decide it."""
    fill_arms(runs, {"plain": 0.5, "identity": 0.51}, seeds=(-0.05, 0.0, 0.05, 0.02, -0.03))
    (verdict,) = judged(runs, claims_file(claims_text(head="looks: [3, 5, 6]\n")))
    said = "The looks to come aren't likely to decide it: the last is at 6 seeds; 7 to 35 seeds would decide."
    assert next_step(verdict) == said


@pytest.mark.parametrize("looks", ["looks: [3, 5, 6]\n", "looks: [3, 5]\n", ""])
def test_looks_are_not_offered_where_no_number_of_seeds_would_decide(runs, claims_file, looks):
    """The mean of the differences is the smallest effect."""
    fill_arms(runs, {"plain": 0.5}, seeds=(0.0,) * 5)
    fill_arms(runs, {"identity": 0.52}, seeds=(-0.01, 0.0, 0.01, 0.02, -0.02))
    (verdict,) = judged(runs, claims_file(claims_text(head=looks, least="0.02")))
    said = "More seeds aren't likely to decide it: no number up to 1000 would if the mean stays."
    assert (verdict.conclusion, next_step(verdict)) == ("inconclusive", said)


def test_few_cells_that_differ_are_named(runs, claims_file):
    for skip, gains in (("none", (0.3, 0.31, 0.29)), ("add", (0.3, 0.32, 0.28)), ("concat", (0.3, -0.3, 0.01))):
        for seed, gain in enumerate(gains):
            for arm, value in (("plain", 0.3), ("identity", 0.3 + gain)):
                runs.trial(seed=seed, choices={"connection": arm, "long_skip": skip}, summary={"skill_train": value})
    (verdict,) = judged(runs, claims_file(claims_text()))
    assert badge(verdict, verdict.caveats) == (
        "mixed: supported without long skips and with long_skip add, inconclusive with long_skip concat"
    )


def test_more_seeds_are_not_advised_where_they_cannot_decide(runs, claims_file):
    fill_arms(runs, {"plain": 0.5, "identity": 0.51})
    runs.trial(seed=9, choices={"connection": "plain"}, status="diverged")
    runs.trial(seed=9, choices={"connection": "identity"}, summary={"loss_val": 0.5})
    text = claims_text(direction="lower").replace("skill_train", "loss_val")
    (verdict,) = judged(runs, claims_file(text))
    assert (verdict.conclusion, next_step(verdict)) == ("inconclusive", "")
    (verdict,) = judged(runs, claims_file(claims_text().replace("skill_train", "kernel_distance")))
    assert verdict_sentence(verdict) == (
        "Not run: kernel_distance was not measured; evaluator=[kernel_distance] measures it."
    )
    assert next_step(verdict) == ""


def test_the_same_sentence_stands_everywhere(runs, claims_file):
    fill_arms(runs, {"plain": 0.5, "identity": 0.75})
    study, claims = read_study("s", runs.folder), read_claims(claims_file(claims_text()))
    sentence = verdict_sentence(judge(study, claims)[0])
    assert sentence in printed(judge(study, claims))
    assert sentence in report_page(study, claims)


def test_the_page_on_reports_shows_a_sentence_as_it_is():
    (block,) = (text for text in fenced(ROOT / "docs" / "report.md") if "import" in text)
    assert "assert verdict_sentence(verdict) ==" in block
    exec(compile(block, "docs/report.md", "exec"), {})


def test_arms_of_other_factors_bear_its_name(runs):
    for seed, jitter in enumerate((0.0, 0.001, -0.001)):
        for norm, skill in (("none", 0.5), ("group", 0.75)):
            runs.trial(seed=seed, choices={"norm": norm}, summary={"skill_train": skill + jitter * (norm == "group")})
    (verdict,) = compare(read_study("s", runs.folder), Selection("norm", "none", ["skill_train"]))
    assert verdict_sentence(verdict).startswith(
        "Skill is 0.750 for norm group and 0.500 for norm none (difference +0.2"
    )


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.75, 0.0004], ["0.750", "0.000"]),
        ([123.4, 7.0], ["123", "7"]),
        ([float("nan"), 0.5], ["–", "0.500"]),
        ([0.0, 0.0], ["0", "0"]),
        ([-0.0001, 0.31], ["0.000", "0.310"]),
    ],
)
def test_values_that_are_compared_have_the_same_decimals(values, texts):
    assert alike(values) == texts


def test_cells_are_told_in_words():
    cell = {"prediction": "epsilon", "depth": 16, "norm": "none", "init": "he", "long_skip": "none"}
    assert cell_words(cell) == "at depth 16 with prediction epsilon and init he without normalization or long skips"
    assert cell_words({"data.noise": 0.5, "frozen": True}) == "at noise 0.5 with frozen true"
    assert cell_words({}) == ""


def test_rates_of_collapse_are_not_told_as_skill(runs, claims_file):
    """Of the cells one is judged by the rate at which plain networks of 16 blocks collapse."""
    for long_skip, deep in (("none", 0.4), ("concat", None)):
        for depth in (4, 16):
            for seed in range(10):
                for arm in ("plain", "identity"):
                    skill = 0.7 + 0.001 * seed
                    if arm == "plain" and depth == 16:
                        skill = 0.001 if deep is None and seed else (deep or skill)
                    choices = {"connection": arm, "long_skip": long_skip}
                    summary = {"skill_train": skill}
                    runs.trial(seed=seed, choices=choices, factors={"depth": depth}, summary=summary)
    sentence = said(runs, claims_file(claims_text("interaction\n    over: depth")))
    assert "rate of collapse 0.000 to 0.000 for residual networks and 0.000 to 0.900 for plain networks" in sentence


def test_arms_means_are_those_of_the_pairs_whose_difference_is_given(runs, claims_file):
    fill_arms(runs, {"plain": 0.7, "identity": 0.75}, seeds=(0.0, 0.001, 0.002))
    for seed in range(3, 10):
        runs.trial(seed=seed, choices={"connection": "identity"}, summary={"skill_train": 0.3})
    assert said(runs, claims_file(claims_text())).startswith(
        "Skill is 0.751 for residual networks and 0.700 for plain networks (difference +0.0505"
    )


def test_slopes_over_other_levels_say_so_in_each_cell(runs, claims_file):
    for long_skip, depths in (("none", (4, 8, 64)), ("concat", (4, 8))):
        for depth in depths:
            fill_arms(
                runs,
                {"plain": 0.8 - 0.001 * depth, "identity": 0.8},
                choices={"long_skip": long_skip},
                factors={"depth": depth},
            )
    sentence = said(runs, claims_file(claims_text("slope\n    over: depth\n    arm: plain", "lower", "0.001")))
    assert sentence.startswith("Skill of plain networks: ")
    assert "0.796 to 0.792 from depth 4 to 8 with long_skip concat" in sentence
    assert "0.796 to 0.736 from depth 4 to 64 without long skips" in sentence


def test_cells_without_values_have_not_collapsed(runs, claims_file):
    for depth in (2, 4, 8, 16, 32):
        arms = {"plain": 0.5, "identity": 0.6} if depth == 2 else {"plain": 0.5}
        fill_arms(runs, arms, factors={"depth": depth})
        if depth > 2:
            for seed in range(5):
                runs.trial(
                    seed=seed, choices={"connection": "identity"}, factors={"depth": depth}, summary={"loss_val": 0.4}
                )
    sentence = said(runs, claims_file(claims_text()))
    assert "too few seeds in 4 (in 4 no pair of values)" in sentence
