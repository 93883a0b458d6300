"""Of a study that is too large to be read line by line, a part is shown, and what is left out is said."""

import pandas as pd
import pytest

from skiplab.analysis.figures import equal_cost_figure, figures, interaction_figure
from skiplab.analysis.page import page_trials
from skiplab.analysis.page import report as page
from skiplab.analysis.study import series
from skiplab.analysis.study.study import read_study
from skiplab.cli import main
from skiplab.records.read_records import Problem, readable
from skiplab.records.table_file import read_table


@pytest.fixture
def study(with_series):
    """16 trials: two seeds of two arms in four cells, of which depths share a panel."""
    return read_study("s", with_series)


def test_curves_are_drawn_from_no_more_than_fits_in_memory(study, monkeypatch) -> None:
    whole, said = page.drawable(study)
    assert (whole, said) == (study, "")
    folder = study.runs_dir / study.trials["key"][0]
    one = sum(path.stat().st_size for path in folder.glob("*.csv"))
    monkeypatch.setattr(page, "_MOST_BYTES", 6 * one)
    part, said = page.drawable(read_study("s", study.runs_dir))
    assert 2 <= len(part.trials) < 8
    assert set(part.trials["seed"]) == {0}
    assert said.startswith(
        f"The study has 16 trials: charts, the comparison at equal cost and the list of trials show the "
        f"{len(part.trials)} of the lowest"
    )
    assert set(part.history["key"]) == set(part.trials["key"])


@pytest.mark.usefixtures("undrawn")
def test_a_page_reads_no_history_of_trials_that_it_does_not_draw(study, monkeypatch) -> None:
    """The time that a page takes has a bound: the comparison at equal cost is of the trials that are drawn."""
    monkeypatch.setattr(page, "_MOST_DRAWN", 8)
    whole, opened = read_study("s", study.runs_dir), set()
    part, _ = page.drawable(whole)
    monkeypatch.setattr(
        series, "read_table", lambda folder, *rest: opened.add(folder.name) or read_table(folder, *rest)
    )
    html = page.report_page(whole)
    assert "Best depth at equal cost" in html
    assert opened == set(part.trials["key"])
    assert len(opened) == 8
    assert not {"_history", "_layers", "_measurements", "losses"} & vars(whole).keys()


def test_losses_are_the_training_losses_of_the_history(study) -> None:
    """The comparison at equal cost of all trials, in a command of its own, keeps no more of them in memory."""
    whole = read_study("s", study.runs_dir)
    expected = study.history.loc[study.history["metric"] == "loss", ["key", "step", "value"]]
    assert whole.losses["key"].nunique() == 16
    pd.testing.assert_frame_equal(whole.losses.reset_index(drop=True), expected.reset_index(drop=True))
    assert "_history" not in vars(whole)


def test_a_trial_that_is_too_large_alone_is_drawn(study, monkeypatch) -> None:
    monkeypatch.setattr(page, "_MOST_BYTES", 1)
    part, _ = page.drawable(read_study("s", study.runs_dir))
    assert len(part.trials) == 1


def test_a_figure_has_as_many_panels_as_one_can_read(study, monkeypatch) -> None:
    assert "panels are shown" not in figures.loss_caption(study, "connection")
    for module in (figures, interaction_figure, equal_cost_figure):
        monkeypatch.setattr(module, "MOST_PANELS", 1)
    drawn = figures.loss_curves(study, "connection")
    assert len(drawn.axes) == 1
    assert figures.loss_caption(study, "connection").endswith("1 of 2 panels are shown.")
    assert len(figures.outcome(study, "skill_train", "connection").axes) == 1
    assert len(equal_cost_figure.equal_cost_figure(study, "connection").axes) == 1
    assert equal_cost_figure.equal_cost_caption(study, "connection").endswith("1 of 2 panels are shown.")
    assert len(interaction_figure.interaction_figure(study, "skill_train", "long_skip").axes) == 1
    assert "panels" not in interaction_figure.interaction_caption(study, "long_skip").split("no dot.")[1]


@pytest.mark.usefixtures("undrawn")
def test_a_page_and_a_terminal_list_as_much_as_one_can_read(runs, fill, monkeypatch, capsys) -> None:
    fill(effect=0.1, num_seeds=1, depths=(4,))
    for seed in range(10, 17):
        runs.trial(seed=seed, status="failed")
    for number in range(230):
        runs.list_key("s", f"{number:016x}")
    monkeypatch.setattr(page_trials, "_MOST_UNFINISHED", 5)
    study = read_study("s", runs.folder)
    assert len(study.problems) == 230
    html = page.report_page(study)
    assert html.count("ValueError: no good") >= 5
    assert "the first 5, and 2 others" in html
    assert html.count("its folder is missing") == 1
    assert "230 parts not read" in html
    main(["table", "s", "--runs-dir", str(runs.folder)])
    printed = capsys.readouterr().out
    assert printed.count("its folder is missing") == 1
    assert "trial 0000000000000002 and 227 more: its folder is missing" in printed


def test_no_more_reasons_are_listed_than_one_can_read() -> None:
    listed = readable(Problem(f"file {number}", f"reason {number}") for number in range(230))
    assert len(listed) == 201
    assert listed[-1] == ("and more", "30 others")
