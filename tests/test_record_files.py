"""A finished record whose tables, pictures or weights were cut off says so, and what brings them back."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from hostile_records import forget_hashes
from skiplab.analysis.study.study import read_study
from skiplab.cli import main
from skiplab.errors import SkiplabError
from skiplab.records.finished_files import finished_files
from skiplab.training.evaluate_record import evaluate_record
from skiplab.training.load import load
from skiplab.training.read_tables import read_measurements, read_readings
from tiny_trials import Trial, run_tiny

EVALUATORS = "evaluator=[denoising_loss,sample_grid]"
FILES = ["history.csv", "layers.csv", "measurements.csv", "real_images.png", "samples.png", "weights.safetensors"]
CUTS = {
    "middle": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "last row": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "emptied": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Trial:
    """A finished trial, to be copied."""
    return run_tiny(tmp_path_factory.mktemp("whole"), EVALUATORS, "run.study=s")


@pytest.fixture
def trial(whole, tmp_path) -> Trial:
    """The same in a folder of the test's own."""
    runs_dir = tmp_path / "runs"
    shutil.copytree(whole.record.runs_dir, runs_dir)
    return run_tiny(runs_dir, EVALUATORS, "run.study=s")


def told(runs_dir: Path, *words: str, capsys) -> str:
    capsys.readouterr()
    main([*words, "--runs-dir", str(runs_dir)])
    return " ".join(capsys.readouterr().out.split())


def test_a_whole_record_says_nothing(trial, capsys) -> None:
    assert trial.outcome.action == "already done"
    files = trial.record.read()["files"]
    assert files == finished_files(trial.record.folder, ["config.yaml", *FILES])
    assert files["history.csv"]["rows"] == len(pd.read_csv(trial.record.folder / "history.csv"))
    assert told(trial.record.runs_dir, "status", "s", capsys=capsys) == "study s: 1 trial, 1 done"
    assert not read_study("s", trial.record.runs_dir).problems


@pytest.mark.parametrize(
    ("name", "cut"),
    [
        *((FILES[0], cut) for cut in CUTS),
        *((FILES[1], cut) for cut in ("emptied", "last row")),
        *((name, cut) for name in FILES[2:] for cut in ("middle", "gone")),
        (FILES[5], "emptied"),
    ],
)
def test_what_was_cut_off_is_named(trial, name, cut, capsys) -> None:
    path = trial.record.folder / name
    length = trial.record.read()["files"][name]
    read_study("s", trial.record.runs_dir)  # its cache is as old as the whole record
    CUTS[cut](path)
    if cut == "gone":
        words = "it is missing; "
    elif name.endswith(".csv"):
        left = max(0, path.read_bytes().count(b"\n") - 1)
        assert left < length["rows"]
        words = f"it is cut off, {left} of {length['rows']} rows are left; "
    else:
        words = f"it is cut off, {path.stat().st_size} of {length['bytes']} bytes are left; "
    again = "run.rerun=true" if name in (*FILES[:2], FILES[5]) else f"'{EVALUATORS}'` measures it again"
    for command in ("status", "table"):
        text = told(trial.record.runs_dir, command, "s", capsys=capsys)
        assert f"{name}: {words}" in text
        assert again in text


def test_the_page_names_every_file_and_draws_what_is_left(trial, capsys) -> None:
    for name, cut in zip(FILES, ("middle", "emptied", "last row", "middle", "gone", "middle"), strict=True):
        CUTS[cut](trial.record.folder / name)
    text = told(trial.record.runs_dir, "report", "s", capsys=capsys)
    page = (trial.record.runs_dir / "studies" / "s" / "report.html").read_text(encoding="utf-8")
    for problem in read_study("s", trial.record.runs_dir).problems:
        assert problem.where in text
        assert f"<li>{Path(problem.where).relative_to(trial.record.runs_dir)}: " in page  # which may be shown to others
    assert page.count("it is cut off, ") == 5
    assert page.count("it is missing; ") == 1


@pytest.mark.parametrize("cut", ["middle", "emptied", "gone"])
def test_a_finished_trial_says_that_its_weights_are_lost(trial, cut, capsys) -> None:
    before = trial.record.weights.read_bytes()
    CUTS[cut](trial.record.weights)
    again = run_tiny(trial.record.runs_dir, EVALUATORS, "run.study=s").outcome
    half = f"it is cut off, {len(before) // 2 if cut == 'middle' else 0} of {len(before)} bytes are left"
    lost = "it is missing" if cut == "gone" else half
    assert again.action == "already done"
    assert again.note == f"weights.safetensors: {lost}; run.rerun=true trains the trial again"
    run_tiny(trial.record.runs_dir, EVALUATORS, "run.study=s", "run.rerun=true")
    assert trial.record.weights.read_bytes() == before
    assert not run_tiny(trial.record.runs_dir, EVALUATORS, "run.study=s").outcome.note


def test_a_diverged_trial_has_no_weights_to_lose(tmp_path) -> None:
    trial = run_tiny(tmp_path, EVALUATORS, "run.study=s", "optimizer.lr=1e30")
    assert trial.outcome.status == "diverged"
    assert trial.record.read()["files"].keys() == {"config.yaml", "history.csv", "layers.csv"}
    assert not read_study("s", tmp_path).problems


@pytest.mark.parametrize("name", FILES[2:4])
def test_what_evaluators_measured_is_measured_again(trial, name) -> None:
    before = finished_files(trial.record.folder, ["config.yaml", *FILES])
    (trial.record.folder / name).unlink()
    assert evaluate_record(trial.record.folder, [EVALUATORS], None).action == "evaluated"
    assert finished_files(trial.record.folder, ["config.yaml", *FILES]) == before
    assert trial.record.read()["files"] == before
    assert not read_study("s", trial.record.runs_dir).problems
    assert run_tiny(trial.record.runs_dir, EVALUATORS, "run.study=s").outcome.action == "already done"


def test_what_is_not_measured_again_is_not_said_to_be(trial) -> None:
    """The rows that are left of other evaluators are no longer claimed, and one of them can be asked for again."""
    CUTS["middle"](trial.record.folder / "measurements.csv")
    run_tiny(trial.record.runs_dir, "evaluator=[sample_grid]", "run.study=s")
    assert set(trial.record.read()["evaluators"]) == {"sample_grid"}
    assert run_tiny(trial.record.runs_dir, EVALUATORS, "run.study=s").outcome.action == "evaluated"
    assert set(trial.record.read()["evaluators"]) == {"denoising_loss", "sample_grid"}


def test_a_lost_picture_costs_no_other_measurement(trial) -> None:
    before = read_measurements(trial.record)
    assert set(before["evaluator"]) == {"denoising_loss"}
    (trial.record.folder / "samples.png").unlink()
    run_tiny(trial.record.runs_dir, "evaluator=[baselines]", "run.study=s")
    after = read_measurements(trial.record)
    assert after[after["evaluator"] == "denoising_loss"].equals(before)
    assert set(trial.record.read()["evaluators"]) == {"denoising_loss", "baselines"}


def test_a_table_that_was_cut_off_is_set_aside(trial, capsys) -> None:
    path = trial.record.folder / "measurements.csv"
    CUTS["middle"](path)
    left = path.read_bytes()
    run_tiny(trial.record.runs_dir, "evaluator=[baselines]", "run.study=s")
    said = capsys.readouterr().out
    assert "measurements.csv was truncated, so denoising_loss, sample_grid must run again" in said
    (aside,) = trial.record.runs_dir.glob("replaced/*/measurements.csv")
    assert aside.read_bytes() == left


@pytest.mark.parametrize("name", FILES[:2])
def test_measuring_more_hides_no_loss_and_training_again_mends_it(trial, name) -> None:
    CUTS["middle"](trial.record.folder / name)
    again = run_tiny(trial.record.runs_dir, "evaluator=[baselines]", "run.study=s")
    assert (again.outcome.action, again.outcome.status) == ("evaluated", "done")
    assert f"{name}: it is cut off" in again.outcome.note
    (problem,) = read_study("s", trial.record.runs_dir).problems
    assert problem.where.endswith(name)
    run_tiny(trial.record.runs_dir, EVALUATORS, "run.study=s", "run.rerun=true")
    assert not read_study("s", trial.record.runs_dir).problems


def test_no_chart_is_drawn_of_cut_off_readings(trial) -> None:
    assert len(read_readings(trial.record))
    CUTS["emptied"](trial.record.folder / "layers.csv")
    assert read_readings(trial.record).empty


def test_a_record_without_lengths_is_not_complained_about(trial) -> None:
    for files, cut in (({}, "emptied"), ({"../record.json": {"bytes": 10**9}}, "gone")):
        trial.record.update(files=files)
        CUTS[cut](trial.record.folder / "history.csv")
        assert not [each for each in read_study("s", trial.record.runs_dir).problems if "history" in each.where]


def page_words(runs_dir: Path) -> str:
    main(["report", "s", "--runs-dir", str(runs_dir)])
    html = (runs_dir / "studies" / "s" / "report.html").read_text(encoding="utf-8")
    return " ".join(re.sub("<[^>]*>", " ", html).split()).replace(" : ", ": ")


def swap(path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("history.csv", b"0,loss,", b"0,loss,9"), ("measurements.csv", b",0", b",9"), ("samples.png", b"IDAT", b"IDAX")],
)
def test_what_was_changed_is_named_and_left_out(trial, name, old, new, undrawn) -> None:
    read_study("s", trial.record.runs_dir)  # its cache is as old as the whole record
    swap(trial.record.folder / name, old, new)
    assert f"{name}: it was changed after it was written" in page_words(trial.record.runs_dir)
    study = read_study("s", trial.record.runs_dir)
    assert study.trials["loss_val"].notna().all()
    left = {"history.csv": study.history, "measurements.csv": study.measurements}
    assert all(rows.empty == (name == table) for table, rows in left.items())


def test_a_table_that_was_changed_is_set_aside_and_measured_again(trial, capsys) -> None:
    path = trial.record.folder / "measurements.csv"
    before = path.read_bytes()
    swap(path, b",0", b",9")
    evaluate_record(trial.record.folder, ["evaluator=[denoising_loss,baselines]"], None)
    assert "measurements.csv can't be used (it was changed after it was written)" in capsys.readouterr().out
    assert before.split(b"\n", 1)[1] in path.read_bytes()
    assert len(list(trial.record.runs_dir.glob("replaced/*/measurements.csv"))) == 1


def test_a_change_is_not_taken_for_what_was_written_by_measuring_more(trial, undrawn) -> None:
    swap(trial.record.folder / "samples.png", b"IDAT", b"IDAX")
    evaluate_record(trial.record.folder, ["evaluator=[baselines]"], None)
    assert "samples.png: it was changed" in page_words(trial.record.runs_dir)


def test_a_number_or_setting_that_was_changed_is_no_trials(trial, capsys) -> None:
    swap(trial.record.folder / "config.yaml", b"SiLU", b"ReLU")
    with pytest.raises(SkiplabError, match="it was changed after it was written"):
        load(trial.record.folder)
    swap(trial.record.path, b'"loss_val": ', b'"loss_val": 9')
    assert "it was changed after it was written" in told(trial.record.runs_dir, "table", "s", capsys=capsys)
    assert read_study("s", trial.record.runs_dir).trials.empty


def test_a_record_from_before_there_were_hashes_is_read_and_says_so(trial, capsys) -> None:
    forget_hashes(trial.record.folder)
    assert not read_study("s", trial.record.runs_dir).problems
    load(trial.record.folder)
    assert "has no hash on record of config.yaml, " in capsys.readouterr().err
