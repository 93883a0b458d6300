"""A trial is trained once; what is missing is added, what is broken is told, and nothing is overwritten."""

import errno
import json
import os
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from omegaconf import DictConfig
from safetensors.torch import load_file

import skiplab
from skiplab.analysis.study.metric_values import metric_values
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError
from skiplab.evaluators.denoising_loss import DenoisingLoss
from skiplab.evaluators.linear_probe import LinearProbe
from skiplab.instruments.update_ratio import UpdateRatio
from skiplab.training.build import build
from skiplab.training.components import Components
from skiplab.training.trial import run_trial
from tiny_trials import TINY, compose_config, run_composed


def forbid(monkeypatch, name: str) -> None:
    def forbidden(*arguments, **keywords):
        raise AssertionError(f"{name} was called")

    monkeypatch.setattr(f"skiplab.training.trial.{name}", forbidden)


@pytest.fixture
def trial(run, tmp_path):
    return run(tmp_path)


def test_a_record_says_all_of_its_trial(finished) -> None:
    content = finished.record.read()
    assert content["status"] == "done"
    assert content["step"] == 12
    assert content["diverged_step"] is None
    assert content["choices"]["connection"] == "identity"
    assert content["factors"]["depth"] == 4
    assert content["parity"]["depth"] == content["parity"]["num_joins"] == 4
    assert set(content["metrics"]) >= set(content["summary"]) >= {"loss_val", "skill_val", "update_ratio_first_block"}
    assert content["provenance"]["wall_seconds"] > 0
    assert content["provenance"]["versions"]["torch"] == torch.__version__
    study = finished.record.runs_dir / "studies" / "default" / "keys.txt"
    assert study.read_text().split() == [finished.record.key]


def test_parameters_are_counted_as_they_are(finished) -> None:
    weights = load_file(finished.record.weights)
    assert finished.record.read()["parity"]["num_parameters"] == sum(value.numel() for value in weights.values())


def test_a_network_is_built_and_trained_with_the_threads_of_its_trial(tmp_path) -> None:
    seen: list[int] = []

    def noting(config: DictConfig) -> Components:
        seen.append(torch.get_num_threads())
        torch.set_num_threads(2)  # as a network's own file may do
        return build(config)

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)  # as a trial before it in the same process may have done
        config, choices = compose_config(*TINY, "trainer.max_steps=1", f"run.runs_dir={tmp_path}", "num_threads=1")[:2]
        run_trial(config, choices, progress=False, build_components=noting)
        seen.append(torch.get_num_threads())
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 1]


def test_history_is_the_loss_of_every_step(finished) -> None:
    rows = pd.read_csv(finished.record.folder / "history.csv")
    assert rows["step"].tolist() == list(range(12))
    assert set(rows["metric"]) == {"loss"}
    assert rows["value"].iloc[0] > rows["value"].iloc[-1] > 0


def test_weights_load_back(finished) -> None:
    data, objective, model, costs = skiplab.load(finished.record.folder)
    saved = load_file(finished.record.weights)
    assert model.state_dict().keys() == saved.keys()
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())
    assert not model.training
    assert objective.prediction.__class__.__name__ == "Epsilon"
    assert len(data.val) == 360
    assert costs == finished.record.read()["parity"]
    with pytest.raises(SkiplabError, match=r"has no config\.yaml"):
        skiplab.load(finished.record.runs_dir)


def test_a_finished_trial_is_neither_built_nor_trained_again(trial, run, tmp_path, monkeypatch) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in trial.record.folder.rglob("*")}
    forbid(monkeypatch, "build")
    again = run(tmp_path)
    assert again.outcome == (trial.record.key, "done", "already done", "")
    assert {path: path.stat().st_mtime_ns for path in trial.record.folder.rglob("*")} == stamps


def test_a_finished_trial_joins_another_study(trial, run, tmp_path) -> None:
    run(tmp_path, "run.study=second")
    for study in ("default", "second"):
        assert (tmp_path / "studies" / study / "keys.txt").read_text().split() == [trial.record.key]


def test_a_missing_evaluator_runs_on_the_saved_weights(trial, run, tmp_path, monkeypatch) -> None:
    before = trial.record.read()
    written = trial.record.weights.stat().st_mtime_ns
    forbid(monkeypatch, "fit")
    again = run(tmp_path, "evaluator=[denoising_loss,baselines]")
    after = trial.record.read()
    assert again.outcome.action == "evaluated"
    assert trial.record.weights.stat().st_mtime_ns == written
    assert after["summary"]["loss_affine"] > 0
    assert {name: after["summary"][name] for name in before["summary"]} == before["summary"]
    assert "loss_affine" in after["metrics"]
    assert run(tmp_path, "evaluator=[denoising_loss,baselines]").outcome.action == "already done"


def test_an_evaluator_with_other_settings_is_missing(trial, run, tmp_path, monkeypatch) -> None:
    before = trial.record.read()["summary"]["loss_val"]
    forbid(monkeypatch, "fit")
    assert run(tmp_path, "eval_batch.num_images=8").outcome.action == "evaluated"
    assert trial.record.read()["summary"]["loss_val"] != before


def test_a_missing_instrument_is_named_and_asks_for_rerun(run, tmp_path) -> None:
    first = run(tmp_path, "instrument=[gradient_flow]")
    assert first.outcome.note == ""
    note = run(tmp_path).outcome.note
    assert "update_ratio" in note
    assert "gradient_flow" not in note
    assert "run.rerun=true" in note
    assert "update_ratio_first_block" not in first.record.read()["summary"]
    again = run(tmp_path, "run.rerun=true")
    assert again.outcome.action == "trained"
    assert again.outcome.note == ""
    assert "update_ratio_first_block" in again.record.read()["summary"]


def test_rerun_keeps_the_old_record(trial, run, tmp_path) -> None:
    old = {path.name: path.read_bytes() for path in trial.record.folder.iterdir() if path.is_file()}
    run(tmp_path, "run.rerun=true")
    (kept,) = (tmp_path / "replaced").iterdir()
    assert kept.name.startswith(trial.record.key)
    for name in ("record.json", "history.csv", "layers.csv", "weights.safetensors", "config.yaml"):
        assert (kept / name).read_bytes() == old[name]
    assert (trial.record.folder / "weights.safetensors").read_bytes() == old["weights.safetensors"]


ABSURD = ("optimizer.lr=1e6", "trainer.max_steps=20", "run.log_every_steps=4")


def test_divergence_is_a_result_with_its_step(run, tmp_path, monkeypatch) -> None:
    trial = run(tmp_path, *ABSURD)
    content = trial.record.read()
    assert trial.outcome.status == content["status"] == "diverged"
    rows = pd.read_csv(trial.record.folder / "history.csv")
    assert 0 < content["diverged_step"] == content["step"] - 1 < 20
    assert rows["value"].isna().tolist() == [False] * content["diverged_step"] + [True]
    assert content["error"] is None
    assert not trial.record.weights.exists()
    forbid(monkeypatch, "build")
    assert run(tmp_path, *ABSURD).outcome[1:3] == ("diverged", "already done")


def test_a_diverged_trial_declares_what_its_evaluators_would_have_measured(run, tmp_path, finished) -> None:
    content = run(tmp_path, *ABSURD, "evaluator=[denoising_loss,linear_probe]").record.read()
    measured = finished.record.read()["metrics"]
    assert content["metrics"]["skill_train"] == measured["skill_train"]
    assert content["metrics"]["skill_train"]["if_diverged"] == 0.0
    assert content["metrics"].keys() > DenoisingLoss.metrics.keys() | LinearProbe.metrics.keys()
    assert not content["summary"].keys() & (DenoisingLoss.metrics.keys() | LinearProbe.metrics.keys())
    charts = {name for name, chart in content["charts"].items() if chart["measured_by"] == "evaluator linear_probe"}
    assert charts == LinearProbe.charts.keys()
    assert content["evaluators"] == {}
    study = read_study("default", tmp_path)
    assert metric_values(study, "connection", "skill_train")["value"].tolist() == [0.0]


def test_divergence_counts_from_the_declared_factor(run, tmp_path) -> None:
    """The first losses are about the zero predictor's, so half of that is exceeded as soon as there are ten."""
    ended = {factor: run(tmp_path, "trainer.max_steps=12", f"divergence_factor={factor}") for factor in (0.5, 2)}
    assert {factor: trial.record.read()["diverged_step"] for factor, trial in ended.items()} == {0.5: 9, 2: None}


def test_a_failing_trial_keeps_its_traceback_and_is_tried_again(run, tmp_path, monkeypatch, capsys) -> None:
    def breaking(self, loss_scale):
        raise ZeroDivisionError("no such luck")

    with monkeypatch.context() as patched:
        patched.setattr(UpdateRatio, "before_update", breaking)
        with pytest.raises(SkiplabError, match="failed: ZeroDivisionError: no such luck"):
            run(tmp_path)
    (path,) = tmp_path.glob("*/record.json")
    content = json.loads(path.read_text())
    assert content["status"] == "failed"
    assert "Traceback" in content["error"]
    assert "no such luck" in content["error"]
    assert content["provenance"]["finished"] is not None
    again = run(tmp_path)
    assert again.outcome.status == "done"
    assert again.record.read()["error"] is None


def test_a_trial_whose_weights_are_saved_counts_its_steps(run, tmp_path, monkeypatch, capsys) -> None:
    """Broken off between the weights and the record's next update."""
    from skiplab.training import trial as trials

    fit = trials.fit

    def breaking(*arguments, **keywords):
        fit(*arguments, **keywords)
        raise RuntimeError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(trials, "fit", breaking)
        with pytest.raises(SkiplabError, match="the power went"):
            run(tmp_path)
    content = run(tmp_path).record.read()
    assert content["status"] == "done"
    assert content["step"] == 6


def test_a_corrupt_record_stops_the_trial_and_stays(trial, run, tmp_path) -> None:
    path = trial.record.folder / "record.json"
    path.write_text("{")
    written = trial.record.weights.stat().st_mtime_ns
    for overrides in ([], ["run.rerun=true"]):
        with pytest.raises(SkiplabError, match=r"record\.json can't be read"):
            run(tmp_path, *overrides)
    assert path.read_text() == "{"
    assert trial.record.weights.stat().st_mtime_ns == written


def test_a_full_disk_is_told_and_the_trial_resumes(run, tmp_path, finished, monkeypatch) -> None:
    """The disk fills while checkpoints are written, and is emptied again."""
    fsync, calls = os.fsync, []

    def filling(handle) -> None:
        calls.append(handle)
        if len(calls) == 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", filling)
        with pytest.raises(SkiplabError) as refused:
            run(tmp_path, "trainer.max_steps=12")
    assert f"can't write to run.runs_dir={tmp_path}: No space left on device" in str(refused.value)
    (path,) = tmp_path.glob("*/record.json")
    assert json.loads(path.read_text())["status"] == "running"
    again = run(tmp_path, "trainer.max_steps=12")
    assert again.outcome.action == "resumed"
    assert again.record.weights.read_bytes() == finished.record.weights.read_bytes()


def test_a_trial_held_by_another_process_is_left_to_it(run, tmp_path) -> None:
    from skiplab.records.key import trial_key
    from skiplab.records.record import Record

    composed = compose_config(*TINY)
    refused = pytest.raises(SkiplabError, match=f"is being trained by process {os.getpid()} on")
    with Record(tmp_path, trial_key(composed.config)).locked(), refused:
        run_composed(composed, tmp_path)
    assert run_composed(composed, tmp_path).outcome.status == "done"


def test_the_clock_runs_on_over_broken_attempts(run, tmp_path, monkeypatch, capsys) -> None:
    def slow(self, loss_scale):
        time.sleep(0.3)
        raise RuntimeError("late")

    with monkeypatch.context() as patched:
        patched.setattr(UpdateRatio, "before_update", slow)
        with pytest.raises(SkiplabError):
            run(tmp_path)
    first = json.loads(next(Path(tmp_path).glob("*/record.json")).read_text())["provenance"]
    last = run(tmp_path).record.read()["provenance"]
    assert last["wall_seconds"] > first["wall_seconds"] > 0.3
    assert last["started"] == first["started"]
