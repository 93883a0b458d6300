"""The second computation of published numbers agrees with them, and finds what was changed."""

import csv
import math
import shutil
from pathlib import Path

import formulas
import pytest
from judging import read_csv
from scipy import stats

from recheck import main

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def published(tmp_path):
    """A folder with one published profile."""
    name = tmp_path / "he2015_resnet"
    shutil.copytree(EXPERIMENTS / name.name / "quick", name / "quick")
    shutil.copy(EXPERIMENTS / name.name / "claims.yaml", name)
    return name


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def cell(path, column):
    """The text of a column in the first row of a CSV file."""
    return read_csv(path)[0][column]


def test_published_profile_agrees(published, capsys):
    assert main(published.parent) == 0
    assert "recheck: 1 profiles, 90 trials, 3 claims" in capsys.readouterr().out


@pytest.mark.parametrize("column", ["advantage", "low", "p_supported", "effect_size"])
def test_finds_a_changed_number_of_a_verdict(published, capsys, column):
    path = published / "quick" / "verdicts.csv"
    old = cell(path, column)
    change(path, f",{old},", f",{float(old) * 1.001},")
    assert main(published.parent) == 1
    assert f": {column}: published" in capsys.readouterr().out


def test_finds_a_changed_trial(published, capsys):
    path = published / "quick" / "trials.csv"
    old = cell(path, "skill_train")
    change(path, f",{old},", f",{float(old) - 0.001},")
    assert main(published.parent) == 1
    out = capsys.readouterr().out
    assert "verdicts.csv: degradation, skill_train slope, all trials: advantage" in out
    assert "table.csv: skill_train, depth 3, identity: control_mean" in out


def test_finds_a_changed_conclusion(published, capsys):
    change(published / "quick" / "result.json", '"degradation": "supported', '"degradation": "contradicted')
    assert main(published.parent) == 1
    assert "result.json: degradation: published 'contradicted" in capsys.readouterr().out


def rewrite(path, edit):
    """Changes the rows of a CSV file, its header first."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    edit(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


@pytest.mark.parametrize("name", ["table.csv", "verdicts.csv"])
def test_finds_a_row_left_out(published, capsys, name):
    rewrite(published / "quick" / name, lambda rows: rows.pop())
    assert main(published.parent) == 1
    assert f"{name}: rows" in capsys.readouterr().out


@pytest.mark.parametrize("column", ["claim_conclusion", "cell_conclusion", "caveats"])
def test_finds_a_changed_word_of_evidence(published, capsys, column):
    """shortcuts_prevent_it has a row of evidence after that of its part."""

    def edit(rows):
        row = next(row for row in rows if row[rows[0].index("role")] == "evidence")
        row[rows[0].index(column)] = "contradicted"

    rewrite(published / "quick" / "verdicts.csv", edit)
    assert main(published.parent) == 1
    assert f": {column}: published 'contradicted'" in capsys.readouterr().out


def test_finds_a_correction_that_no_verdict_tells(published, capsys):
    shutil.copytree(EXPERIMENTS / published.name / "standard", published / "standard")
    for name in ("verdicts.csv", "result.json"):
        path = published / "standard" / name
        text = path.read_text()
        told = ("; " if name == "verdicts.csv" else ", ") + "its test was corrected on 2026-11-28, after trials"
        assert told in text
        path.write_text(text.replace(told, ""))
    assert main(published.parent) == 1
    assert "shortcuts_prevent_it: corrected: published False" in capsys.readouterr().out


def test_names_at_most_twenty_differences(published, capsys):
    def edit(rows):
        for row in rows[1:]:
            row[rows[0].index("n")] = "77"

    for name in ("table.csv", "verdicts.csv"):
        rewrite(published / "quick" / name, edit)
    assert main(published.parent) == 1
    out = capsys.readouterr().out
    assert out.count("differs:") == 20
    assert "  and 3 more" in out


def test_finds_a_text_that_its_phrases_are_not(published, capsys):
    change(
        published / "claims.yaml",
        "text: Deeper plain networks have a higher",
        "text: Deeper plain networks have a lower",
    )
    assert main(published.parent) == 1
    assert "degradation: the phrases of reads are not the words" in capsys.readouterr().out


def test_finds_a_test_of_something_else(published, capsys):
    change(published / "claims.yaml", "direction: lower", "direction: higher")
    assert main(published.parent) == 1
    assert "differ in higher, lower" in capsys.readouterr().out


def test_nothing_published_is_no_agreement(tmp_path):
    assert main(tmp_path) == 1


def test_closed_forms():
    assert formulas.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert formulas.permutation_p([1.0] * 6, 0.0) == 1 / 64
    assert math.isnan(formulas.permutation_p([1.0] * 5, 0.0))
    assert formulas.exact_rate("count", 0, 2.0, 0.025)[2] == pytest.approx(-math.log(0.025) / 2)
    assert formulas.exact_rate("event", 0, 5, 0.025)[2] == pytest.approx(1 - 0.025 ** (1 / 5))
    exact = stats.binomtest(2, 7).proportion_ci(0.95, "exact")
    assert formulas.exact_rate("event", 2, 7, 0.025)[1:] == pytest.approx((exact.low, exact.high))
    terms = [(9, 10, 1.0), (1, 10, -1.0)]
    p = formulas.p_rate_above("event", terms, 0.1)
    assert formulas.weighted_rates("event", terms, p)[1] == pytest.approx(0.1)
