"""Studies that are hardly one, in every command that reads them: something sensible or one sentence, never a traceback.

Through the command line, on written records.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_charts import CHARTS
from example_claims import CLAIMS

from conftest import METRICS, Runs, write_series
from skiplab.analysis.figures import figure_files
from skiplab.analysis.page import page_figures
from skiplab.analysis.page.served_page import ServedPage
from skiplab.analysis.study.metric_values import metric_values
from skiplab.analysis.study.study import read_study
from skiplab.cli import main

SUMMARY = {"skill_train": 0.5, "loss_val": 0.5, "frechet_distance": 10.0, "loss_zero": 1.0, "loss_affine": 0.3}
STEPS = {"trainer.max_steps": 30, "width": 8}


def trial(
    runs: Runs, arm: str = "plain", seed: int = 0, status: str = "done", depth: int = 4, long_skip: str = "none"
) -> None:
    """The first trial of the plain arm has curves too: they take the longest to draw."""
    series = (arm, seed, depth, long_skip) == ("plain", 0, 4, "none") and status != "failed"
    summary = SUMMARY if status == "done" else {}
    key = runs.trial(
        seed=seed,
        choices={"connection": arm, "long_skip": long_skip},
        factors={"depth": depth, **STEPS},
        summary=summary,
        status=status,
        charts=CHARTS if series else {},
    )
    if series:
        write_series(runs, key, depth, np.random.default_rng(seed))


def arms(runs: Runs, status: str) -> None:
    for arm in ("plain", "identity"):
        for seed in range(3):
            trial(runs, arm, seed, status)


def one_arm(runs: Runs) -> None:
    for seed in range(3):
        for depth in (4, 8):
            trial(runs, seed=seed, depth=depth)


def one_seed(runs: Runs) -> None:
    for arm in ("plain", "identity"):
        for depth in (4, 8):
            trial(runs, arm, depth=depth)


def missing_arm(runs: Runs) -> None:
    for seed in range(3):
        for long_skip in ("none", "concat"):
            trial(runs, "plain", seed, long_skip=long_skip)
        trial(runs, "identity", seed, long_skip="none")


def no_control(runs: Runs) -> None:
    for seed in range(3):
        for arm in ("identity", "dense"):
            trial(runs, arm, seed, "done" if arm == "identity" else "failed")


def without_axes(runs: Runs) -> None:
    """Trials of all arms but one lack axes, as those of an imported study may."""
    axes = {"long_skip": "none", "norm": "group", "activation": "silu"}
    for arm, own in (("plain", axes), ("identity", {}), ("dense", {})):
        for seed in range(3):
            runs.trial(seed=seed, choices={"connection": arm, **own}, factors={"depth": 4, **STEPS}, summary=SUMMARY)


def without_metrics(runs: Runs) -> None:
    for arm in ("plain", "identity"):
        runs.trial(choices={"connection": arm, "long_skip": "none"}, factors=STEPS, summary={})


def only_missing_numbers(runs: Runs) -> None:
    for arm in ("plain", "identity"):
        summary = {"skill_train": None, "frechet_distance": None}
        runs.trial(choices={"connection": arm, "long_skip": "none"}, factors=STEPS, summary=summary)


def unreadable(runs: Runs) -> None:
    (runs.folder / "studies" / "s").mkdir(parents=True)
    runs.list_key("s", "no key")
    runs.list_key("s", "0123456789abcdef")


def all_waiting(runs: Runs) -> None:
    for number in range(3):
        runs.list_key("s", f"{number:016x}")


def empty_list(runs: Runs) -> None:
    (runs.folder / "studies" / "s").mkdir(parents=True)
    (runs.folder / "studies" / "s" / "keys.txt").touch()


STUDIES: dict[str, Callable[[Runs], object]] = {
    "one arm": one_arm,
    "one trial": trial,
    "one seed": one_seed,
    "all failed": lambda runs: arms(runs, "failed"),
    "all running": lambda runs: arms(runs, "running"),
    "all interrupted": lambda runs: arms(runs, "interrupted"),
    "all diverged": lambda runs: arms(runs, "diverged"),
    "one trial, failed": lambda runs: trial(runs, status="failed"),
    "one trial, diverged": lambda runs: trial(runs, status="diverged"),
    "an arm missing in a cell": missing_arm,
    "no control, an arm all failed": no_control,
    "axes missing in arms": without_axes,
    "no metric": without_metrics,
    "no number": only_missing_numbers,
    "nothing readable": unreadable,
    "nothing begun": all_waiting,
    "an empty list": empty_list,
}
COMMANDS = {
    "status": ["status", "s"],
    "table": ["table", "s"],
    "effects": ["effects", "s"],
    "report": ["report", "s", "--claims", "{claims}"],
    "report with charts": ["report", "s", "--claims", "{claims}"],
    "figures": ["figures", "s", "--format", "svg", "--claims", "{claims}"],
    "sync": ["sync", "s"],
}


# The studies whose charts differ most: of one trial, of an arm beside it without any, of a lost one, of two cells.
CHARTED = ("one trial", "one seed", "all diverged", "an arm missing in a cell")


def calls() -> Iterator[Any]:
    """Each command of each study; by default charts, which take the longest to draw, of few."""
    for study, command in itertools.product(STUDIES, COMMANDS):
        slow = study not in CHARTED if command == "report with charts" else study in CHARTED and command == "report"
        yield pytest.param(study, command, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(("study", "command"), list(calls()))
def test_each_command_says_something(study: str, command: str, runs, claims_file, monkeypatch, capsys) -> None:
    """What a trial's charts show is drawn by `report with charts` alone: `figures` has it from the same function."""
    if command != "report with charts":
        for module in (figure_files, page_figures):
            monkeypatch.setattr(module, "draw_chart", lambda *_: None)
    STUDIES[study](runs)
    words = [word.format(claims=claims_file(CLAIMS)) for word in COMMANDS[command]]
    ended = run([*words, "--runs-dir", str(runs.folder)])
    out, err = capsys.readouterr()
    if ended:
        (line,) = err.splitlines()
        assert (ended, line[:9]) == (1, "skiplab: ")
        assert "nan" not in line.split()
    else:
        assert out.strip()
        assert "nan" not in out.split()


def run(words: list[str]) -> int:
    """A command's exit code; whatever else it raises is a traceback."""
    try:
        main(words)
    except SystemExit as end:
        return int(end.code)
    return 0


@pytest.mark.usefixtures("undrawn")
def test_trials_that_all_diverged_count_as_they_do_beside_others(runs, claims_file, capsys) -> None:
    """Their own declarations are all there is to say what they count with."""
    declared = {"metrics": {name: asdict(METRICS[name]) for name in ("skill_train", "loss_val")}}
    for seed in range(3):
        for arm in ("plain", "identity"):
            choices = {"connection": arm, "long_skip": "none"}
            for step, study in ((1, "s"), (2, "both")):
                diverged = {"factors": {"width": step}, "status": "diverged", **declared}
                key = runs.trial(study, seed=seed, choices=choices, **diverged)
                runs.list_key("both", key)
        runs.trial("both", seed=seed, choices={"connection": "dense", "long_skip": "none"}, summary=SUMMARY)
    study = read_study("s", runs.folder)
    assert list(study.metrics) == ["skill_train", "loss_val"]
    assert study.has_numbers
    both = read_study("both", runs.folder)
    assert list(both.metrics) == list(SUMMARY)
    for each in (study, both):
        values = metric_values(each, "connection", "skill_train").query("status == 'diverged'")
        assert set(values["value"]) == {0.0}
    where = ["--runs-dir", str(runs.folder)]
    main(["table", "s", *where])
    table = pd.read_csv(runs.folder / "studies" / "s" / "table.csv").set_index("metric")
    assert table.loc["skill_train", ["n", "control_mean", "treatment_mean"]].tolist() == [3, 0, 0]
    main(["report", "s", "--claims", str(claims_file(CLAIMS)), *where])
    assert "was not measured" not in capsys.readouterr().out


def test_what_a_done_trial_declares_and_nothing_measured_is_no_metric(runs) -> None:
    """A diverged trial beside it adds no rows to the tables."""
    declared = {"metrics": {name: asdict(METRICS[name]) for name in ("skill_train", "frechet_distance")}}
    runs.trial(seed=0, summary={"skill_train": 0.5}, **declared)
    runs.trial(seed=1, status="diverged", **declared)
    assert list(read_study("s", runs.folder).metrics) == ["skill_train"]


NOTHING_TO_COMPARE = ("all failed", "all running", "no metric", "no number", "nothing readable", "an empty list")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("study", NOTHING_TO_COMPARE)
def test_where_there_is_nothing_to_compare_that_is_said(study: str, runs, capsys) -> None:
    STUDIES[study](runs)
    where = ["s", "--runs-dir", str(runs.folder)]
    said = "no trial has a number to compare yet"
    for command in ("table", "report"):
        main([command, *where])
        assert said in capsys.readouterr().out
    assert "No trial has been measured yet" in (runs.folder / "studies" / "s" / "report.html").read_text()
    with pytest.raises(SystemExit):
        main(["effects", *where])
    assert "no trial of s has a number to compare" in capsys.readouterr().err


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.usefixtures("undrawn")
def test_the_dashboard_shows_something(study: str, runs, claims_file) -> None:
    """All but its figures, which are the report's: that command draws them above, of the same studies."""
    STUDIES[study](runs)
    page = ServedPage("s", runs.folder, claims_file(CLAIMS), str)
    page.look_soon()
    page._thread.join()
    assert "can&#39;t be drawn" not in page.shown.html
    assert page.shown.version not in ("none", "failed")
