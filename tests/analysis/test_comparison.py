"""Which factor, control and metrics are compared where nothing, or something, is asked for; in every command alike."""

import re

import pandas as pd
import pytest
from example_claims import CLAIMS

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.figures.figures import headline_figure
from skiplab.analysis.page.served_page import ServedPage
from skiplab.analysis.study.arms import factor_under_test, with_arms
from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables.comparison import NO_SELECTION, Selection, find_comparison
from skiplab.analysis.tables.comparison_table import comparison_table
from skiplab.analysis.tables.parity import parity_table
from skiplab.cli import main
from skiplab.errors import SkiplabError


def fill_with(runs, name, levels, *, axis=True):
    """A study of three seeds in which this alone varies."""
    for position, level in enumerate(levels):
        for seed in range(3):
            runs.trial(
                seed=seed,
                choices={"connection": "identity", **({name: level} if axis else {})},
                factors={} if axis else {name: level},
                summary={"skill_train": 0.5 + 0.1 * position + 0.01 * seed, "loss_val": 0.5},
            )
    return read_study("s", runs.folder)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("name", "levels", "axis"),
    [
        ("init", ("he", "orthogonal"), True),
        ("depth", (4, 8), False),
        ("optimizer.lr", (0.1, 0.2), False),
        ("connection.update_factor", (0.5, 0.25), False),
    ],
)
def test_what_alone_varies_is_the_factor_everywhere(runs, capsys, name, levels, axis):
    study = fill_with(runs, name, levels, axis=axis)
    where = ["s", "--runs-dir", str(runs.folder)]
    arms = [str(level) for level in sorted(levels)]
    assert factor_under_test(study, None) == name
    assert comparison_table(study).factor == name
    assert list(parity_table(study)["arm"]) == arms
    assert {str(text.get_text()) for ax in headline_figure(study).axes for text in ax.get_yticklabels()} == set(arms)
    main(["table", *where])
    assert f"factor under test: {name}" in capsys.readouterr().out
    main(["effects", *where])
    assert f"{name} {arms[1]} over {arms[0]}" in capsys.readouterr().out
    main(["report", *where])
    for html in (
        (runs.folder / "studies" / "s" / "report.html").read_text(),
        ServedPage("s", runs.folder, None, str)._drawn("1"),
    ):
        assert f"Arms, by {name}: {arms[0]} (control)" in html


def test_connection_is_the_factor_where_it_varies_or_several_others_do(runs):
    fill_with(runs, "init", ("he", "orthogonal"))
    runs.trial(choices={"connection": "identity", "init": "he"}, factors={"depth": 8}, summary={"skill_train": 0.5})
    assert factor_under_test(read_study("s", runs.folder), None) == "connection"
    runs.trial("t", choices={"connection": "plain"})
    runs.trial("t", choices={"connection": "identity"}, factors={"depth": 8})
    assert factor_under_test(read_study("t", runs.folder), None) == "connection"
    assert factor_under_test(read_study("t", runs.folder), "depth") == "depth"


def test_settings_below_an_axis_that_varies_are_part_of_it(runs):
    for init, gain in (("he", 1.0), ("he", 2.0), ("zero_last", 1.0)):
        runs.trial(choices={"init": init}, factors={"init.gain": gain})
    assert factor_under_test(read_study("s", runs.folder), None) == "init"


def test_settings_of_one_option_tell_its_arms_apart(runs):
    for number, (a, b) in enumerate(((1, 1), (1, 2), (2, 1))):
        runs.trial(seed=number, choices={"connection": "scaled"}, factors={"connection.a": a, "connection.b": b})
    arms = with_arms(read_study("s", runs.folder), "connection")["arm"]
    assert list(arms) == ["scaled, a 1, b 1", "scaled, a 1, b 2", "scaled, a 2, b 1"]


@pytest.mark.usefixtures("undrawn")
def test_report_and_dashboard_compare_what_is_asked_for(fill, runs, capsys):
    fill(effect=0.15, num_seeds=3)
    where = ["s", "--runs-dir", str(runs.folder)]
    main(["report", *where, "--factor", "long_skip", "--control", "none", "--metric", "frechet_distance"])
    asked = Selection("long_skip", "none", ["frechet_distance"])
    for html in (
        (runs.folder / "studies" / "s" / "report.html").read_text(),
        ServedPage("s", runs.folder, None, str, asked)._drawn("1"),
    ):
        assert "Arms, by long_skip: none (control)" in html
        assert re.findall(r"<h3>(\w+)</h3>\n<div class=\"scroll\"", html)[:1] == ["frechet_distance"]
        assert "<h3>skill_train</h3>" not in html
    main(["figures", *where, "--factor", "long_skip", "--control", "none", "--only", "interaction", "--format", "svg"])
    assert "concat over none" in (runs.folder / "studies" / "s" / "figures" / "interaction.svg").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--factor", "long_skp"], "unknown factor 'long_skp'"),
        (["--control", "plan"], "unknown control 'plan'; valid: plain, identity; did you mean 'plain'?"),
        (["--metric", "frecht"], "unknown metric 'frecht'"),
    ],
)
def test_an_unknown_name_is_one_sentence_and_writes_no_page(fill, runs, capsys, words, message):
    fill(effect=0.15, num_seeds=3)
    for command in ("report", "table", "dashboard"):
        with pytest.raises(SystemExit):
            main([command, "s", "--runs-dir", str(runs.folder), *words])
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert not (runs.folder / "studies" / "s" / "report.html").exists()


def test_claims_say_what_is_compared_unless_something_else_is_asked_for(fill, runs, claims_file):
    text = CLAIMS.replace("factor: connection", "factor: long_skip").replace("cells: {long_skip: [none, concat]}", "")
    text = text.replace("control: plain", "control: concat").replace("treatment: identity", "treatment: none")
    study = read_study("s", fill(effect=0.15, num_seeds=3).folder)
    claims = read_claims(claims_file(text))
    assert find_comparison(study, claims, NO_SELECTION)[:3] == ("long_skip", ["none", "concat"], "concat")
    assert find_comparison(study, claims, Selection(control="none")).control == "none"
    assert find_comparison(study, claims, Selection("connection")).control == "plain"
    assert find_comparison(study, claims, NO_SELECTION).metrics == ["skill_train", "loss_val"]
    with pytest.raises(SkiplabError, match="unknown control"):
        find_comparison(study, claims, Selection(control="plain"))


def test_a_table_of_nothing_is_a_frame(runs):
    runs.list_key("s", "0" * 16)
    table = comparison_table(read_study("s", runs.folder)).frame
    assert isinstance(table, pd.DataFrame)
    assert table.empty
