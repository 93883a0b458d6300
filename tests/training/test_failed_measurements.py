"""A measurement that fails takes nothing from a trial that was trained, and is tried again."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from hostile_records import forget_hashes
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError
from skiplab.evaluators.baselines import Baselines
from skiplab.instruments.stability import Stability
from skiplab.records.study_list import join_study
from skiplab.sweeps.status import read_standings
from skiplab.training.evaluate_record import evaluate_record
from tiny_trials import TINY, compose_config, run_composed, run_tiny


@pytest.fixture
def folder(finished, tmp_path: Path) -> Path:
    """A copy of a finished record, in a study."""
    runs_dir = tmp_path / "runs"
    shutil.copytree(finished.record.folder, runs_dir / finished.record.key)
    join_study(runs_dir, "own", [finished.record.key])
    return runs_dir / finished.record.key


def content(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "record.json").read_text())


def breaking(monkeypatch: pytest.MonkeyPatch, measures: type, method: str, result: Any = None) -> None:
    def broken(*_: Any) -> Any:
        if result is None:
            raise ValueError("my own fault")
        return result

    monkeypatch.setattr(measures, method, broken)


def test_an_evaluator_that_raises_leaves_a_done_trial_done(folder, monkeypatch) -> None:
    before = content(folder)
    with monkeypatch.context() as broken:
        breaking(broken, Baselines, "evaluate")
        with pytest.raises(
            SkiplabError, match=r"is done, but evaluator baselines failed: ValueError: my own fault; .* tries again"
        ):
            evaluate_record(folder, ["evaluator=[baselines]"], None)
    after = content(folder)
    assert after["status"] == "done"
    assert after["summary"] == before["summary"]
    assert after["missing"]["loss_zero"] == "ValueError: my own fault"
    assert read_study("own", folder.parent).trials["loss_val"].notna().all()
    assert "baselines failed" in read_standings("own", folder.parent)[0].note
    outcome = evaluate_record(folder, ["evaluator=[baselines]"], None)
    assert (outcome.action, content(folder)["failed"]) == ("evaluated", {})
    assert "loss_zero" in content(folder)["summary"]
    assert content(folder)["missing"] == {}


@pytest.mark.parametrize("result", ["no result", object()])
def test_a_result_that_no_record_can_hold_is_a_failure_too(folder, monkeypatch, result) -> None:
    breaking(monkeypatch, Baselines, "evaluate", result)
    with pytest.raises(SkiplabError, match="is done, but evaluator baselines failed: "):
        evaluate_record(folder, ["evaluator=[baselines]"], None)
    assert content(folder)["status"] == "done"


def test_results_of_other_settings_stay_where_new_ones_fail(folder, monkeypatch) -> None:
    evaluate_record(folder, ["evaluator=[baselines]"], None)
    before, rows = content(folder), (folder / "measurements.csv").read_bytes()
    breaking(monkeypatch, Baselines, "evaluate")
    with pytest.raises(SkiplabError, match="baselines failed"):
        evaluate_record(folder, ["evaluator=[baselines]", "eval_batch.num_images=7"], None)
    assert content(folder)["summary"] == before["summary"]
    assert content(folder)["evaluators"] == before["evaluators"]
    assert (folder / "measurements.csv").read_bytes() == rows


def test_a_new_trial_is_done_without_them_and_a_repetition_measures_them(tmp_path, monkeypatch) -> None:
    words = ("evaluator=[denoising_loss,baselines]", "instrument=[stability]")
    composed = compose_config(*TINY, *words)
    with monkeypatch.context() as broken:
        breaking(broken, Baselines, "evaluate")
        breaking(broken, Stability, "summarize")
        with pytest.raises(SkiplabError, match=r"instrument stability failed: .*evaluator baselines failed"):
            run_composed(composed, tmp_path / "broken")
    record = next((tmp_path / "broken").glob("*/record.json")).parent
    assert content(record)["status"] == "done"
    assert set(content(record)["failed"]) == {"instrument stability", "evaluator baselines"}
    weights = (record / "weights.safetensors").read_bytes()
    assert run_composed(composed, tmp_path / "broken").outcome.action == "evaluated"
    whole = run_tiny(tmp_path / "whole", *words).record.read()
    assert content(record)["summary"] == whole["summary"]
    assert (record / "weights.safetensors").read_bytes() == weights


def test_weights_that_cannot_be_read_leave_the_trial_done(folder) -> None:
    (folder / "weights.safetensors").write_bytes(b"\0" * 9)
    with pytest.raises(SkiplabError, match="can't be used"):
        evaluate_record(folder, ["evaluator=[baselines]"], None)
    assert content(folder)["status"] == "done"


def test_switches_of_the_command_that_trained_it_are_not_obeyed(folder) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert not {"rerun", "retry_failed", "dry_run"} & set(config["run"])
    config["run"] |= {"rerun": True, "dry_run": True, "study": "elsewhere"}
    config["logger"] = {"_target_": "skiplab.training.wandb_logger.make_wandb_logger", "project": "x", "offline": True}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    forget_hashes(folder)
    weights = (folder / "weights.safetensors").stat().st_mtime_ns
    assert evaluate_record(folder, ["evaluator=[baselines]"], None).action == "evaluated"
    assert (folder / "weights.safetensors").stat().st_mtime_ns == weights
    assert not (folder / "wandb").exists()
    assert sorted(path.name for path in (folder.parent / "studies").iterdir()) == ["own"]
    assert not (folder.parent / "replaced").exists()
