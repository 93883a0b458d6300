import math

import numpy as np
import pandas as pd
import pytest
from example_claims import CLAIMS
from rich.console import Console
from scipy import stats

from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables.comparison import metrics_of_claims
from skiplab.analysis.tables.comparison_table import comparison_table
from skiplab.analysis.tables.table_command import table_command
from skiplab.analysis.tables.table_text import caption
from skiplab.errors import SkiplabError


def shown(capsys, *arguments):
    table_command(*arguments, console=Console(width=100, color_system=None))
    return capsys.readouterr().out


def test_the_table_holds_scipys_intervals(fill):
    study = read_study("s", fill(effect=0.1).folder)
    table = comparison_table(study, metrics=["skill_train", "frechet_distance"]).frame
    assert len(table) == 2 * 2 * 3
    row = table[(table["metric"] == "skill_train") & (table["long_skip"] == "none") & (table["depth"] == 16)].iloc[0]
    trials = study.trials.query("long_skip == 'none' and depth == 16").sort_values("seed")
    plain, identity = (trials[trials["connection"] == arm]["skill_train"].to_numpy() for arm in ("plain", "identity"))
    paired = stats.ttest_rel(identity, plain).confidence_interval()
    welch = stats.ttest_ind(identity, plain, equal_var=False).confidence_interval()
    assert row[["low", "high"]].tolist() == pytest.approx([paired.low, paired.high])
    assert row[["welch_low", "welch_high"]].tolist() == pytest.approx([welch.low, welch.high])
    assert row["correlation"] == pytest.approx(stats.pearsonr(identity, plain).statistic)
    assert row["control_mean"] == pytest.approx(plain.mean())
    assert (row["n"], row["loss_zero"], row["loss_affine"]) == (5, 1.0, pytest.approx(0.3))


def test_a_log_metric_is_a_ratio_of_geometric_means(fill):
    study = read_study("s", fill(effect=0.2).folder)
    row = comparison_table(study, metrics=["frechet_distance"]).frame.iloc[-1]
    assert row["effect_kind"] == "ratio"
    assert row["effect"] == pytest.approx(row["treatment_mean"] / row["control_mean"])


def test_a_collapsed_arm_and_its_diverged_trials(runs, capsys):
    for seed in range(3):
        runs.trial(seed=seed, choices={"connection": "plain"}, status="diverged")
        runs.trial(seed=seed, choices={"connection": "identity"}, summary={"skill_train": 0.7, "loss_val": 0.3})
    table = comparison_table(read_study("s", runs.folder)).frame
    skill = table[table["metric"] == "skill_train"].iloc[0]
    assert (skill["control_diverged"], skill["control_mean"]) == (3, 0.0)
    assert skill["control_collapsed"]
    assert table["effect"].isna().all()
    text = shown(capsys, "s", runs.folder)
    assert "collapsed" in text
    assert "plain: 3 diverged" in text
    assert "3 done, 3 diverged" in text


def test_an_arm_that_collapsed_takes_no_effect_from_the_others(runs):
    for seed in range(3):
        for arm, skill in {"plain": 0.2, "identity": 0.7, "broken": 0.01}.items():
            runs.trial(seed=seed, choices={"connection": arm}, summary={"skill_train": skill + seed / 100})
    table = comparison_table(read_study("s", runs.folder)).frame.set_index("treatment")
    assert table.at["identity", "effect"] == pytest.approx(0.5)
    assert table.at["identity", "notes"] == "all seeds are equal, which says nothing about their spread: no interval"
    assert np.isnan(table.at["broken", "effect"])
    assert "broken collapsed" in table.at["broken", "notes"]


def test_crashed_trials_have_no_mean(runs):
    for arm in ("plain", "identity"):
        runs.trial(choices={"connection": arm}, status="failed", summary={"update_ratio_first_block": 0.1})
    table = comparison_table(read_study("s", runs.folder), metrics=["update_ratio_first_block"]).frame
    assert table[["control_mean", "treatment_mean", "effect"]].isna().all(axis=None)


def test_an_effect_never_rests_on_survivors(runs):
    for seed in range(4):
        status = "diverged" if seed == 0 else "done"
        runs.trial(
            seed=seed, choices={"connection": "plain"}, status=status, summary={"loss_val": 0.4, "skill_train": 0.6}
        )
        runs.trial(seed=seed, choices={"connection": "identity"}, summary={"loss_val": 0.3, "skill_train": 0.7})
    row = comparison_table(read_study("s", runs.folder), metrics=["loss_val"]).frame.iloc[0]
    assert math.isnan(row["effect"])
    assert (row["n"], row["control_diverged"]) == (3, 1)


def test_any_factor_can_be_under_test(fill):
    study = read_study("s", fill(effect=0.1).folder)
    table = comparison_table(study, factor="depth", control="8", metrics=["loss_val"]).frame
    assert set(table["treatment"]) == {"4", "16"}
    assert set(table["control"]) == {"8"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"factor": "conection"}, r"unknown factor 'conection'.*connection"),
        ({"control": "plane"}, r"unknown control 'plane'; valid: plain, identity; did you mean 'plain'"),
        ({"metrics": ["los_val"]}, r"unknown metric 'los_val'; valid: .*did you mean 'loss_val'"),
    ],
)
def test_mistakes_are_explained(fill, arguments, message):
    with pytest.raises(SkiplabError, match=message):
        comparison_table(read_study("s", fill(effect=0.1, num_seeds=1).folder), **arguments)


def test_one_arm_gets_its_means(runs, capsys):
    values = [0.5, 0.6, 0.7]
    for seed, skill in enumerate(values):
        runs.trial(seed=seed, summary={"skill_train": skill})
    row = comparison_table(read_study("s", runs.folder)).frame.iloc[0]
    expected = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert row[["treatment_mean", "low", "high"]].tolist() == pytest.approx([0.6, *expected])
    assert "only one arm, plain" in shown(capsys, "s", runs.folder)


def test_where_one_of_two_arms_is_alone_its_mean_is_shown(runs, capsys):
    for depth, arms in ((4, ("plain",)), (8, ("plain", "identity")), (16, ("identity",))):
        for arm in arms:
            for seed in range(3):
                summary = {"skill_train": 0.5 + depth / 100}
                runs.trial(seed=seed, choices={"connection": arm}, factors={"depth": depth}, summary=summary)
    table = comparison_table(read_study("s", runs.folder)).frame.set_index("depth")
    assert table["control_mean"].tolist() == pytest.approx([0.54, 0.58, np.nan], nan_ok=True)
    assert table["treatment_mean"].tolist() == pytest.approx([np.nan, 0.58, 0.66], nan_ok=True)
    assert table["n"].tolist() == [0, 3, 0]
    assert table["notes"].tolist()[::2] == ["no trials of identity", "no trials of plain"]
    assert "0.540" in shown(capsys, "s", runs.folder)


def test_files_hold_full_precision(fill, capsys):
    runs = fill(effect=0.1)
    shown(capsys, "s", runs.folder)
    folder = runs.folder / "studies" / "s"
    table = comparison_table(read_study("s", runs.folder)).frame
    read = pd.read_csv(folder / "table.csv", keep_default_na=False, na_values=[""])
    assert read["effect"].to_numpy() == pytest.approx(table["effect"].to_numpy(), rel=1e-15)
    assert (folder / "table.md").read_text().count("| none |") == 9  # three metrics, three depths


@pytest.mark.parametrize(("effect", "better"), [(0.1, "identity"), (-0.1, "plain"), (0.0, None)])
def test_the_better_mean_is_bold_where_the_interval_allows(fill, capsys, effect, better):
    """At depth 16; at depth 4 the arms are equal but for noise, with intervals that hold 0."""
    runs = fill(effect=effect, noise=0.03)
    shown(capsys, "s", runs.folder)
    folder = runs.folder / "studies" / "s"
    for ending, mark in (("md", "**"), ("tex", r"\textbf{"), ("html", "<b>")):
        text = (folder / f"table.{ending}").read_text()
        assert text.count(mark) > 0 or better is None
    rows = [line.split(" | ") for line in (folder / "table.md").read_text().splitlines() if " | 16 | " in line]
    assert len(rows) == 6
    for row in rows:
        bold = [name for name, entry in zip(("plain", "identity"), row[2:4], strict=True) if "**" in entry]
        assert bold == ([better] if better else [])


def test_the_terminal_table_fits_100_columns_and_lists_problems(fill, capsys):
    runs = fill(effect=0.1)
    runs.list_key("s", "ffffffffffffffff")
    text = shown(capsys, "s", runs.folder)
    table = [line for line in text.splitlines() if not line.startswith(("written", "not read"))]
    assert max(map(len, table)) <= 100
    assert "not read: trial ffffffffffffffff: its folder is missing" in text


def test_trials_that_lack_their_folder_are_one_line(fill, capsys):
    runs = fill(effect=0.1)
    for letter in "abcdef":
        runs.list_key("s", letter * 16)
    lines = [line for line in shown(capsys, "s", runs.folder).splitlines() if line.startswith("not read")]
    keys = ", ".join(f"trial {letter * 16}" for letter in "abc")
    assert lines == [f"not read: {keys} and 3 more: its folder is missing; train it again, or it was never started"]


def test_a_study_without_a_finished_trial(runs, capsys):
    runs.trial(status="running")
    assert "no trial has a number to compare yet" in shown(capsys, "s", runs.folder)


def test_what_claims_ask_for_stands_behind_skill_and_loss(fill, claims_file):
    runs = fill(effect=0.1, num_seeds=1)
    study = read_study("s", runs.folder)
    text = (
        CLAIMS
        + "    evidence: [{metric: frechet_distance, direction: lower}, {metric: never_measured, direction: lower}]\n"
    )
    names = metrics_of_claims(study, read_claims(claims_file(text)))
    assert {"skill_train", "loss_val", "frechet_distance"} <= set(study.metrics)
    assert names == ["skill_train", "loss_val", "frechet_distance"]


def test_a_cell_that_was_not_asked_for_a_metric_has_no_row(runs):
    for depth in (4, 8):
        for arm in ("plain", "identity"):
            summary = {"skill_train": 0.5} | ({"frechet_distance": 3.0} if depth == 4 else {})
            runs.trial(choices={"connection": arm}, factors={"depth": depth}, summary=summary)
    table = comparison_table(read_study("s", runs.folder), metrics=["skill_train", "frechet_distance"]).frame
    assert list(zip(table["metric"], table["depth"], strict=True)) == [
        ("skill_train", 4),
        ("skill_train", 8),
        ("frechet_distance", 4),
    ]


def test_baselines_stand_beside_the_loss_that_they_are_of_alone(runs):
    for arm in ("plain", "identity"):
        summary = {"loss_val": 0.5, "loss_area": 0.7, "loss_zero": 1.0, "loss_affine": 0.25}
        runs.trial(choices={"connection": arm}, summary=summary)
    table = comparison_table(read_study("s", runs.folder), metrics=["loss_val", "loss_area"])
    captions = {name: caption(part) for name, part in table.by_metric.items()}
    assert "zero predictor 1, best affine predictor 0.25" in captions["loss_val"].replace(".00", "").replace(
        ".250", ".25"
    )
    assert "predictor" not in captions["loss_area"]


def test_objectives_are_compared_by_what_claims_ask_for_alone(fill, claims_file):
    text = CLAIMS.replace("factor: connection", "factor: prediction").replace("skill_train", "frechet_distance")
    study = read_study("s", fill(effect=0.1).folder)
    assert metrics_of_claims(study, read_claims(claims_file(text))) == ["frechet_distance"]
