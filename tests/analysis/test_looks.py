from dataclasses import replace

import numpy as np
import pytest
from example_claims import CLAIMS
from scipy import stats

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.ladder import open_tests
from skiplab.analysis.claims.looks import look_caveats
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.statistics.alpha_spending import alpha_per_look
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError

TEXT = """\
factor: connection
control: plain
treatment: identity
looks: [3, 5, 10]
claims:
  - {name: c, text: t, metric: skill_train, contrast: difference, direction: higher, smallest_effect: 0.0}
"""


def judged(runs, claims_file, advantages, text=TEXT):
    for seed, advantage in enumerate(advantages):
        runs.trial(seed=seed, choices={"connection": "plain"}, summary={"skill_train": 0.5})
        runs.trial(seed=seed, choices={"connection": "identity"}, summary={"skill_train": 0.5 + advantage})
    (verdict,) = judge(read_study("s", runs.folder), read_claims(claims_file(text)))
    return verdict


def test_looks_spend_alpha_between_them_by_the_formula():
    shares = alpha_per_look([3, 5, 10], 0.025)
    assert sum(shares) == pytest.approx(0.025)
    assert shares[0] == pytest.approx(0.025 * np.log(1 + (np.e - 1) * 0.3))
    assert all(share > 0 for share in shares)


def test_a_look_asks_for_more_than_the_level_of_a_single_one(runs, claims_file):
    advantages = [0.02, 0.06, 0.05, 0.07, 0.01]
    p = stats.ttest_1samp(advantages, 0.0, alternative="greater").pvalue
    assert alpha_per_look([3, 5, 10], 0.025)[1] < p < 0.025
    verdict = judged(runs, claims_file, advantages)
    assert verdict.conclusion == "inconclusive"
    assert verdict.caveats[-2:] == ("look 2 of 3, at 5 seeds", "next at 10")
    assert judged(runs, claims_file, [], TEXT.replace("looks: [3, 5, 10]\n", "")).conclusion == "supported"


def test_what_an_early_look_decides_stands(runs, claims_file):
    verdict = judged(runs, claims_file, [0.100, 0.101, 0.102, -0.5, -0.4])
    assert verdict.conclusion == "supported"
    assert verdict.cells[0].parts[0].interval.n == 3


def test_seeds_between_looks_wait(runs, claims_file):
    verdict = judged(runs, claims_file, [0.02, 0.3, -0.2, 0.1])
    assert verdict.caveats[-3:] == ("look 1 of 3, at 3 seeds", "1 more not looked at", "next at 5")
    assert verdict.cells[0].parts[0].interval.n == 3


def test_before_the_first_look_nothing_is_said(runs, claims_file):
    verdict = judged(runs, claims_file, [0.10, 0.101])
    assert verdict.conclusion == "too few seeds"
    assert verdict.caveats[-1] == "before the first look, at 3 seeds"


def test_beyond_the_last_look_further_seeds_say_nothing(runs, claims_file):
    verdict = judged(runs, claims_file, [0.02, -0.02] * 5 + [9.0] * 4)
    assert verdict.caveats[-3:] == ("look 3 of 3, at 10 seeds", "4 more not looked at", "the last")
    assert verdict.cells[0].parts[0].interval.n == 10


def test_a_seed_that_a_cell_lacks_is_no_look(runs, claims_file):
    for seed in range(3):
        runs.trial(seed=seed, choices={"connection": "plain"}, summary={"skill_train": 0.5})
    for seed in range(2):
        runs.trial(seed=seed, choices={"connection": "identity"}, summary={"skill_train": 0.6 + 0.001 * seed})
    assert judged(runs, claims_file, []).conclusion == "too few seeds"


def in_cells(runs, claims_file, **advantages):
    """The verdict over cells with these advantages of their seeds; None: a trial that is listed and has not ended."""
    for long_skip, own in advantages.items():
        for seed, advantage in enumerate(own):
            cell = {"seed": seed, "status": "pending" if advantage is None else "done"}
            base = {"skill_train": 0.5}
            runs.trial(choices={"connection": "plain", "long_skip": long_skip}, summary=base, **cell)
            base = {"skill_train": 0.5 + (advantage or 0.0)}
            runs.trial(choices={"connection": "identity", "long_skip": long_skip}, summary=base, **cell)
    (verdict,) = judge(read_study("s", runs.folder), read_claims(claims_file(TEXT)))
    return verdict, {each.cell["long_skip"]: each.parts[0] for each in verdict.cells}


UNDECIDED = [0.02, -0.02, 0.01]
FIVE = [0.02, 0.06, 0.05, 0.07, 0.035]


def test_a_cell_that_gets_no_more_seeds_keeps_its_verdict(runs, claims_file):
    verdict, cells = in_cells(runs, claims_file, none=UNDECIDED, concat=FIVE)
    assert (cells["none"].conclusion, cells["none"].interval.n) == ("inconclusive", 3)
    assert cells["concat"].interval.n == 5
    assert verdict.caveats[-2:] == ("looks 1 to 2 of 3, at 3 to 5 seeds", "next at 5")


def test_the_next_look_is_that_of_tests_which_more_seeds_may_decide(runs, claims_file):
    _, cells = in_cells(runs, claims_file, none=UNDECIDED, concat=[0.02, -0.02, 0.01, 0.03, -0.01])
    assert (cells["none"].look.num_seeds, cells["concat"].look.num_seeds) == (3, 5)
    study, claims = read_study("s", runs.folder), read_claims(claims_file(TEXT))
    assert look_caveats(study, claims, list(cells.values()))[-1] == "next at 5"
    without = [replace(cells["none"], conclusion="not applicable"), cells["concat"]]
    assert look_caveats(study, claims, without)[-1] == "next at 10"


def test_a_look_waits_for_all_of_its_trials(runs, claims_file):
    _, cells = in_cells(runs, claims_file, none=[0.3, -0.2, 0.1, 0.1, None], concat=UNDECIDED)
    assert (cells["none"].conclusion, cells["none"].interval.n) == ("inconclusive", 3)


def test_a_test_that_an_earlier_look_rejected_makes_room_for_the_rest(runs, claims_file):
    p = stats.ttest_1samp(FIVE, 0.0, alternative="greater").pvalue
    second = alpha_per_look([3, 5, 10], 0.025)[1]
    assert second / 2 < p < second
    _, cells = in_cells(runs, claims_file, none=UNDECIDED, concat=FIVE)
    assert cells["concat"].conclusion == "inconclusive"
    _, cells = in_cells(runs, claims_file, none=[0.1000, 0.1001, 0.1002], concat=FIVE)
    assert {name: each.conclusion for name, each in cells.items()} == {"none": "supported", "concat": "supported"}


def test_what_is_open_names_its_next_look_and_its_trials(runs, claims_file):
    in_cells(runs, claims_file, none=[0.1000, 0.1001, 0.1002], concat=UNDECIDED)
    (test,) = open_tests(read_study("s", runs.folder), read_claims(claims_file(TEXT)))
    assert (test.claim, test.next_look, test.verdict.conclusion) == ("c", 5, "inconclusive")
    assert sorted(map(str, test.trials)) == [
        "{'connection': 'identity', 'long_skip': 'concat'}",
        "{'connection': 'plain', 'long_skip': 'concat'}",
    ]


@pytest.mark.parametrize("looks", ["[5]", "[2, 5]", "[5, 5]", "[5, 3]", "5", "[3, 5.5]", "[3, true]"])
def test_looks_that_are_none_are_refused(claims_file, looks):
    with pytest.raises(SkiplabError, match="two or more rising numbers of seeds from 3"):
        read_claims(claims_file(CLAIMS.replace("tuned: false", f"tuned: false\nlooks: {looks}")))


def test_a_verdict_says_how_many_listed_trials_have_no_record(runs, claims_file):
    """They may be of another level of a mean, or of another test of the file."""
    runs.list_key("s", "0123456789abcdef")
    verdict = judged(runs, claims_file, [0.100, 0.101, 0.102])
    assert verdict.conclusion == "supported"
    assert "1 listed trial without a record" in verdict.caveats


@pytest.mark.parametrize("looks", ["looks: [3, 5, 10]\n", ""], ids=["looks", "once"])
def test_a_test_with_too_few_seeds_makes_no_room_for_others(runs, claims_file, looks):
    for seed, advantage in enumerate((0.06, 0.07, 0.09)):
        for depth in (4, 8):
            if seed == 2 and depth == 8:
                continue
            for arm, skill in (("plain", 0.5), ("identity", 0.5 + (advantage if depth == 4 else 0.1 + seed * 1e-6))):
                choices, summary = {"connection": arm}, {"skill_train": skill}
                runs.trial(seed=seed, choices=choices, factors={"depth": depth}, summary=summary)
    claims = read_claims(claims_file(TEXT.replace("looks: [3, 5, 10]\n", looks)))
    (verdict,) = judge(read_study("s", runs.folder), claims)
    enough, few = (cell.parts[0] for cell in verdict.cells)
    assert few.conclusion == "too few seeds"
    own = stats.ttest_1samp([0.06, 0.07, 0.09], 0.0, alternative="greater").pvalue
    assert enough.p.supported == pytest.approx(2 * own)
