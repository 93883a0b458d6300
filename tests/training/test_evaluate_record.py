"""A saved record is measured with what it wasn't measured with; nothing is trained, and the trial can't be changed."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from skiplab.errors import SkiplabError
from skiplab.records.record import Record
from skiplab.training.evaluate_record import evaluate_record
from skiplab.training.read_tables import read_measurements


@pytest.fixture
def folder(finished, tmp_path: Path) -> Path:
    """A copy of a finished record."""
    return Path(shutil.copytree(finished.record.folder, tmp_path / "runs" / finished.record.key))


def summary(folder: Path) -> dict:
    return json.loads((folder / "record.json").read_text())["summary"]


def drawn(folder: Path) -> pd.DataFrame:
    return read_measurements(Record(folder.parent, folder.name))


def test_a_missing_evaluator_is_added_to_the_record(folder, run, tmp_path) -> None:
    before, written = summary(folder), (folder / "weights.safetensors").read_bytes()
    outcome = evaluate_record(folder, ["evaluator=[baselines]"], None)
    assert (outcome.action, outcome.status, outcome.key) == ("evaluated", "done", folder.name)
    after = summary(folder)
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {"loss_zero", "loss_affine"}
    assert (folder / "weights.safetensors").read_bytes() == written
    # as if it had been asked for at the start
    from_start = run(tmp_path / "other", "trainer.max_steps=12", "evaluator=[denoising_loss,baselines]")
    assert from_start.record.key == folder.name
    assert from_start.record.read()["summary"] == after
    assert evaluate_record(folder, ["evaluator=[baselines]"], None).action == "already done"


def test_what_is_drawn_is_replaced_and_the_rest_is_kept(folder) -> None:
    before = drawn(folder)
    assert set(before["evaluator"]) == {"denoising_loss"}
    evaluate_record(folder, ["evaluator=[baselines]"], None)
    both = drawn(folder)
    pd.testing.assert_frame_equal(both[both["evaluator"] == "denoising_loss"], before)
    assert (both["evaluator"] == "baselines").sum() == 4  # two predictors at two levels
    charts = json.loads((folder / "record.json").read_text())["charts"]
    assert charts["loss_by_noise"]["measured_by"] == "evaluator denoising_loss"
    assert charts["loss_by_predictor"]["kind"] == "lines"
    evaluate_record(folder, ["evaluator=[denoising_loss]", "eval_batch.num_levels=3"], None)
    anew = drawn(folder)
    assert (anew["chart"] == "loss_by_noise").sum() == 3
    assert (anew["evaluator"] == "baselines").sum() == 4


def test_another_eval_batch_measures_anew(folder) -> None:
    before = summary(folder)["loss_val"]
    assert evaluate_record(folder, ["eval_batch.num_images=7"], None).action == "evaluated"
    assert summary(folder)["loss_val"] != before


def test_an_evaluator_of_ones_own_is_found(folder, tmp_path, monkeypatch) -> None:
    own = tmp_path / "own" / "evaluator"
    own.mkdir(parents=True)
    (own / "constant.yaml").write_text("# @package evaluator.constant\n_target_: my_constant.Constant\n")
    (tmp_path / "my_constant.py").write_text(
        "from skiplab.evaluators.evaluator import Evaluator, Result\n"
        "from skiplab.metrics import Metric\n"
        "class Constant(Evaluator):\n"
        "    metrics = {'constant': Metric(label='a constant', direction=None)}\n"
        "    def evaluate(self, trained):\n"
        "        return Result({'constant': 1.5})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    evaluate_record(folder, ["evaluator=[constant]"], own.parent)
    assert summary(folder)["constant"] == 1.5


@pytest.mark.parametrize("override", ["connection=plain", "seed=1", "+trainer.max_steps=9"])
def test_overrides_of_the_trial_are_refused(override: str, folder) -> None:
    with pytest.raises(SkiplabError, match=r"would change the trial.*valid: overrides of evaluator, feature_extractor"):
        evaluate_record(folder, [override], None)


def test_a_folder_without_weights_is_refused(tmp_path) -> None:
    with pytest.raises(SkiplabError, match=r"has no weights\.safetensors; give the folder of a finished trial"):
        evaluate_record(tmp_path, [], None)
