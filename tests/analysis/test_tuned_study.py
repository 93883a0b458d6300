"""What a study says of settings that were tuned: only what every trial of both arms bears out."""

from dataclasses import replace

import pytest

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.verdict_text import headline
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.figures.tuning_figure import tuning_figure
from skiplab.analysis.page.report import write_report
from skiplab.analysis.study.arms import cells
from skiplab.analysis.study.study import read_study
from skiplab.analysis.study.tuned_study import TUNED
from skiplab.analysis.tables.parity import unequal_arms
from skiplab.analysis.tables.tuning_table import tuning_command
from skiplab.records.tuned import RATE, Combination, Tuned, Window, read_tuned, write_tuned

CHOSEN = {("plain", 4): 0.0002, ("identity", 4): 0.002, ("plain", 8): 0.0002, ("identity", 8): 0.0063}
RATES = (0.0002, 0.00063, 0.002, 0.0063, 0.02)
CLAIM = """\
factor: connection
control: plain
treatment: identity
claims:
  - {name: c, text: t, metric: skill_train, contrast: difference, direction: higher, smallest_effect: 0.02}
"""


def write(runs, study="s", **changed) -> None:
    """The file as the sweeper leaves it beside the study's list."""
    combinations = [
        Combination(
            factors={"connection": arm, "depth": depth},
            tried={},
            best={RATE: rate},
            value=0.5,
            edge="lowest" if arm == "plain" else "inside",
            window=Window(lowest=rate, highest=0.02, at_least=True),
            curve={each: [0.5 - abs(each - rate), 0.5] for each in RATES},
            diverged=(),
        )
        for (arm, depth), rate in CHOSEN.items()
    ]
    fields = {
        "study": "s_tuning", "preset": "p", "overrides": (), "metric": "skill_train", "label": "skill",
        "direction": "higher", "seeds": (9001, 9002), "rates": RATES, "also": (), "widenings": 1, "shared": {},
        "combinations": tuple(combinations),
    }  # fmt: skip
    path = runs.folder / "studies" / study / "tuned.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(write_tuned(Tuned(**(fields | changed))))


def trials(runs, rates=CHOSEN, **more):
    """Four seeds of both arms at two depths, each with its rate."""
    for (arm, depth), rate in rates.items():
        for seed in range(4):
            runs.trial(
                seed=seed,
                choices={"connection": arm},
                factors={"depth": depth, RATE: rate, "seed": seed, **more},
                summary={"skill_train": (0.8 if arm == "identity" else 0.5) + 0.01 * seed**2 * (arm == "plain")},
            )
    return runs


@pytest.fixture
def caveats(runs, claims_file):
    return lambda: judge(read_study("s", runs.folder), read_claims(claims_file(CLAIM)))[0].caveats


def test_a_verdict_on_trials_with_what_was_chosen_for_them_says_tuned_and_the_budget(runs, claims_file) -> None:
    write(trials(runs))
    (verdict,) = judge(read_study("s", runs.folder), read_claims(claims_file(CLAIM)))
    told = "tuned per arm, 5 rates, 2 of 4 at the edge of the rates"
    assert headline(verdict) == f"supported in 2 of 2 cells ({told})"


def test_without_the_file_the_arms_share_no_cell(runs, claims_file) -> None:
    trials(runs)
    (verdict,) = judge(read_study("s", runs.folder), read_claims(claims_file(CLAIM)))
    assert verdict.count("supported") == 0
    assert "at shared settings" in verdict.caveats


@pytest.mark.parametrize(
    ("changed", "more"),
    [
        ({("plain", 8): 0.002}, {}),  # one cell of one arm at another rate
        ({}, {"seed": 9001}),  # a tuning seed
        ({("plain", 16): 0.0002}, {}),  # a combination that wasn't tuned
    ],
)
def test_one_trial_without_what_was_chosen_for_it_takes_the_word_away(runs, caveats, changed, more) -> None:
    write(trials(runs))
    assert caveats() == ("tuned per arm, 5 rates, 2 of 4 at the edge of the rates",)
    rates = dict([*changed.items()] or [(("plain", 8), 0.0002)])
    trials(runs, rates, **more)
    assert caveats() == ("at shared settings",)


def test_a_third_arm_that_was_not_tuned_leaves_the_verdict_of_the_two_alone(runs, caveats) -> None:
    write(trials(runs))
    trials(runs, {("rezero", 4): 0.01})
    assert caveats()[0].startswith("tuned per arm")


def test_a_verdict_names_the_settings_that_were_otherwise_when_it_was_tuned(runs, caveats) -> None:
    trials(runs, width=16, batch_size=64)
    write(runs, shared={"width": 16, "batch_size": 32})
    assert caveats() == ("tuned per arm, 5 rates, 2 of 4 at the edge of the rates, but at batch_size 32",)


def test_what_was_tuned_splits_no_cells_and_is_no_unwanted_difference(runs) -> None:
    trials(runs)
    assert any(RATE in sentence for sentence in unequal_arms(read_study("s", runs.folder), "plain"))
    write(runs)
    study = read_study("s", runs.folder)
    assert cells(study, "connection") == [{"depth": 4}, {"depth": 8}]
    assert unequal_arms(study, "plain") == []
    assert study.constants[RATE] == TUNED


def test_the_tuning_study_itself_keeps_its_rates_as_a_factor(runs) -> None:
    for rate in RATES:
        runs.trial("t", seed=9001, choices={"connection": "plain"}, factors={"depth": 4, RATE: rate})
    write(runs, "t")
    assert read_study("t", runs.folder).factors == (RATE,)


def test_a_file_that_can_not_be_read_is_a_problem_and_tunes_nothing(runs, caveats) -> None:
    write(trials(runs))
    (runs.folder / "studies" / "s" / "tuned.yaml").write_text("study: s")
    assert "at shared settings" in caveats()
    (problem,) = read_study("s", runs.folder).problems
    assert "is not a result of `skiplab tune`" in problem.reason


@pytest.mark.usefixtures("undrawn")
def test_the_report_shows_what_was_chosen(runs) -> None:
    write(trials(runs))
    page = write_report(read_study("s", runs.folder)).read_text()
    assert "The best setting of each combination" in page
    assert "Arms may therefore differ in optimizer.lr." in page
    assert "0.0063 to 0.02" in page
    assert "All arms cost as much as the control" in page


@pytest.mark.usefixtures("undrawn")
def test_the_report_of_an_untuned_study_has_no_such_section(runs) -> None:
    assert "Tuning" not in write_report(read_study("s", trials(runs).folder)).read_text()


def test_a_figure_has_a_panel_for_each_cell_and_a_line_for_each_arm(runs) -> None:
    write(trials(runs))
    figure = tuning_figure(read_tuned(runs.folder / "studies" / "s" / "tuned.yaml"))
    assert [ax.get_title() for ax in figure.axes] == ["depth 4", "depth 8"]
    for ax, depth in zip(figure.axes, (4, 8), strict=True):
        lines = {line.get_label(): line for line in ax.get_lines() if line.get_linestyle() == "-"}
        assert set(lines) == {"plain", "identity"}
        means = [0.5 - abs(rate - CHOSEN["plain", depth]) / 2 for rate in RATES]
        assert list(lines["plain"].get_ydata()) == pytest.approx(means)


def test_the_table_names_rate_window_and_edge(runs, capsys) -> None:
    write(trials(runs))
    path = runs.folder / "studies" / "s" / "tuned.yaml"
    tuning_command(path)
    printed = capsys.readouterr().out
    assert "2 of 4 best rates are still at an edge" in printed
    (row,) = [line.split() for line in printed.splitlines() if line.startswith("identity") and " 8 " in line]
    assert row == ["identity", "8", "0.0063", "0.500", "0.0063", "to", "0.02", "≥", "0.5", "no"]
    assert path.with_name("tuning.svg").exists()


def with_options(runs, study="s") -> None:
    """The file after tuning with initializations of each arm's own: those of plain were one more."""
    write(runs, study)
    path = runs.folder / "studies" / study / "tuned.yaml"
    tuned = read_tuned(path)
    tried = {"plain": ["default", "looks_linear", "he"], "identity": ["default", "fixup"]}
    combinations = [
        replace(each, tried={"init": own}, best={**each.best, "init": own[-1], "init.gain": 1.5})
        for each in tuned.combinations
        for own in [tried[each.factors["connection"]]]
    ]
    path.write_text(write_tuned(replace(tuned, combinations=tuple(combinations))))


def test_a_chosen_option_splits_no_cells_with_its_settings(runs, caveats) -> None:
    for (arm, depth), rate in CHOSEN.items():
        choices = {"connection": arm, "init": "he" if arm == "plain" else "fixup"}
        for seed in range(4):
            own = {"depth": depth, RATE: rate, "seed": seed, "init.gain": 1.5}
            runs.trial(seed=seed, choices=choices, factors=own, summary={"skill_train": 0.5 + 0.01 * seed})
    assert "init" in read_study("s", runs.folder).factors
    with_options(runs)
    study = read_study("s", runs.folder)
    assert study.factors == ("connection", "depth")
    assert cells(study, "connection") == [{"depth": 4}, {"depth": 8}]
    assert study.constants["init"] == TUNED
    assert "init.gain" not in study.constants
    assert unequal_arms(study, "plain") == []
    told = "tuned per arm, unequal budgets: 5 rates × 3 init for plain and 5 rates × 2 init for identity"
    assert caveats() == (f"{told}, 2 of 4 at the edge of the rates",)


def test_the_table_and_the_figure_name_what_was_tried_and_chosen(runs, capsys) -> None:
    with_options(runs)
    path = runs.folder / "studies" / "s" / "tuned.yaml"
    tuning_command(path)
    printed = capsys.readouterr().out
    words = "init default, looks_linear, he for plain and default, fixup for identity"
    assert words in " ".join(printed.split())
    (row,) = [line.split() for line in printed.splitlines() if line.startswith("identity") and " 8 " in line]
    assert row[:4] == ["identity", "8", "0.0063", "fixup"]
    for ax in tuning_figure(read_tuned(path)).axes:
        assert sorted(text.get_text() for text in ax.texts) == ["identity: init fixup", "plain: init he"]
