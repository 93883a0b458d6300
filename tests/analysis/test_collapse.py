import io
import math

import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from skiplab.analysis.claims.collapse import find_collapse
from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables.rates_table import rates_table
from skiplab.analysis.tables.table_command import table_command


@pytest.fixture
def study(runs):
    """Plain: of five seeds one diverged, one learned nothing; identity: all learned, one still runs."""
    for seed, skill in enumerate((0.7, 0.72, 0.01, 0.71)):
        runs.trial(seed=seed, choices={"connection": "plain"}, summary={"skill_train": skill})
    runs.trial(seed=4, choices={"connection": "plain"}, summary={"skill_train": None}, status="diverged")
    for seed in range(4):
        runs.trial(seed=seed, choices={"connection": "identity"}, summary={"skill_train": 0.8})
    runs.trial(seed=4, choices={"connection": "identity"}, status="running")
    return read_study("s", runs.folder)


def test_rates_count_what_has_ended_with_exact_intervals(study):
    rates = rates_table(study).set_index("arm")
    assert list(rates.loc["plain", ["diverged", "diverged_of", "collapsed", "collapsed_of"]]) == [1, 5, 2, 5]
    assert list(rates.loc["identity", ["diverged", "diverged_of", "collapsed", "collapsed_of"]]) == [0, 4, 0, 4]
    expected = stats.binomtest(2, 5).proportion_ci(0.95, method="exact")
    found = rates.loc["plain", ["collapsed_low", "collapsed_high"]]
    assert tuple(found) == pytest.approx((expected.low, expected.high))
    assert rates.loc["identity", "diverged_high"] == pytest.approx(1 - 0.025 ** (1 / 4))


def test_an_arm_that_collapses_in_some_seeds_shows_them_all(study):
    collapse = find_collapse(study, "connection", ("plain", "identity"), {})
    (sentence,) = collapse.notes
    assert sentence.startswith("plain: 2 of 5 (40%, 5% to 85%) of seeds have a skill below 0.05: 0.700, 0.720, 0.0100")
    assert collapse.arms == ()


def test_an_arm_has_collapsed_by_its_mean_skill(runs):
    for arm, skills in (("plain", (0.0, 0.09)), ("identity", (0.02, 0.09))):
        for seed, skill in enumerate(skills):
            runs.trial(seed=seed, choices={"connection": arm}, summary={"skill_train": skill})
    study = read_study("s", runs.folder)
    assert find_collapse(study, "connection", ("plain", "identity"), {}).arms == ("plain",)
    assert find_collapse(study, "connection", ("identity",), {}).arms == ()


def test_a_study_without_skill_has_rates_of_divergence_alone(runs):
    runs.trial(summary={"loss_val": 0.5})
    runs.trial(seed=1, summary={"loss_val": 0.5}, status="diverged")
    (row,) = rates_table(read_study("s", runs.folder)).to_dict("records")
    assert (row["diverged"], row["diverged_of"], row["collapsed_of"]) == (1, 2, 0)
    assert math.isnan(row["collapsed_low"])


def test_other_factors_of_a_cell_are_named(runs):
    for depth, skills in ((4, (0.8, 0.8)), (8, (0.8, 0.0))):
        for seed, skill in enumerate(skills):
            runs.trial(seed=seed, factors={"depth": depth}, summary={"skill_train": skill})
    study = read_study("s", runs.folder)
    (sentence,) = find_collapse(study, "connection", ("plain",), {}).notes
    assert sentence.startswith("plain at depth 8: 1 of 2")


def test_the_table_prints_and_writes_rates_where_there_are_any(study, runs):
    console = Console(width=100, record=True, file=io.StringIO())
    table_command("s", runs.folder, console=console)
    text = console.export_text()
    assert "1 of 5 (20%, 1% to 72%)" in text
    assert "0 of 4" not in text
    written = pd.read_csv(runs.folder / "studies" / "s" / "rates.csv")
    assert list(written["collapsed"]) == [2, 0]
