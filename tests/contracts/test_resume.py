"""A trial that was broken off and resumed is bit-identical to an unbroken one, and its history has no holes."""

import signal
import time

import pandas as pd
import pytest
import torch
from dropout_connection import NODE

from forked_process import forked_command
from skiplab.errors import SkiplabError
from skiplab.instruments.update_ratio import UpdateRatio
from skiplab.records.key import trial_key
from skiplab.training.module import AblationModule
from tiny_trials import TINY, compose_config, run_composed

NUM_STEPS = 9


def history(record) -> pd.DataFrame:
    """As readers see it: of rows that a resumed trial wrote again, the last."""
    rows = pd.read_csv(record.folder / "history.csv")
    return rows.drop_duplicates(["step", "metric"], keep="last").sort_values(["metric", "step"], ignore_index=True)


def layers(record) -> pd.DataFrame:
    rows = pd.read_csv(record.folder / "layers.csv")
    keys = ["step", "path", "quantity"]
    return rows.drop_duplicates(keys, keep="last").sort_values(keys, ignore_index=True)


def composed():
    # losses are fetched at other steps than checkpoints are written
    steps = (f"trainer.max_steps={NUM_STEPS}", "run.log_every_steps=5", "instrument.update_ratio.every_n_steps=1")
    made = compose_config(*TINY, *steps)
    made.config.connection = NODE
    return made


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return run_composed(composed(), tmp_path_factory.mktemp("unbroken")).record


@pytest.mark.parametrize("broken_at", [0, 1, 2, 5, NUM_STEPS - 1])
def test_broken_by_an_exception(broken_at: int, unbroken, tmp_path, monkeypatch, capsys) -> None:
    after_update, calls = UpdateRatio.after_update, []

    def breaking(self):
        calls.append(None)
        if len(calls) == broken_at + 1:
            raise RuntimeError("the power went")
        return after_update(self)

    monkeypatch.setattr(UpdateRatio, "after_update", breaking)
    with pytest.raises(SkiplabError, match="the power went"):
        run_composed(composed(), tmp_path)
    torch.rand(7)  # whatever else the process draws
    trial = run_composed(composed(), tmp_path)
    assert trial.outcome.action == "resumed"
    assert trial.outcome.status == "done"
    # checkpoints are two steps apart, so at most two steps are trained again
    assert NUM_STEPS < len(calls) <= NUM_STEPS + 2
    assert trial.record.weights.read_bytes() == unbroken.weights.read_bytes()
    assert history(trial.record)["step"].tolist() == list(range(NUM_STEPS))
    pd.testing.assert_frame_equal(history(trial.record), history(unbroken), check_exact=True)
    pd.testing.assert_frame_equal(layers(trial.record), layers(unbroken), check_exact=True)
    assert trial.record.read()["summary"] == unbroken.read()["summary"]
    assert trial.record.read()["error"] is None


def test_broken_during_evaluation_trains_nothing_again(unbroken, tmp_path, monkeypatch, capsys) -> None:
    from skiplab.evaluators.denoising_loss import DenoisingLoss

    def breaking(self, trained):
        raise RuntimeError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(DenoisingLoss, "evaluate", breaking)
        with pytest.raises(SkiplabError, match="the power went"):
            run_composed(composed(), tmp_path)
    written = next(tmp_path.glob("*/weights.safetensors")).stat().st_mtime_ns
    record = run_composed(composed(), tmp_path).record
    assert record.weights.stat().st_mtime_ns == written
    assert record.read()["summary"] == unbroken.read()["summary"]


def test_killed_in_mid_trial(tmp_path, monkeypatch) -> None:
    """Its steps wait for the signal, so that a short training is not over before."""
    num_steps, step = 50, AblationModule.training_step
    tiny = [
        *TINY,
        f"trainer.max_steps={num_steps}",
        "run.checkpoint_every_steps=10",
        "run.log_every_steps=7",
        "instrument=[gradient_flow]",
    ]
    killed_dir, unbroken_dir = tmp_path / "killed", tmp_path / "unbroken"
    table = killed_dir / trial_key(compose_config(*tiny).config) / "history.csv"
    with monkeypatch.context() as patched:
        patched.setattr(AblationModule, "training_step", lambda *given: (time.sleep(0.02), step(*given))[1])
        process = forked_command(["train", *tiny, f"run.runs_dir={killed_dir}"])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if table.exists() and table.read_bytes().count(b"\n") > 12:
            break
        time.sleep(0.01)
    process.kill()
    output = process.communicate()
    assert process.returncode == -signal.SIGKILL, output
    unbroken = run_composed(compose_config(*tiny), unbroken_dir).record
    assert not (killed_dir / unbroken.key / "weights.safetensors").exists()

    record = run_composed(compose_config(*tiny), killed_dir).record
    assert record.read()["status"] == "done"
    assert record.weights.read_bytes() == unbroken.weights.read_bytes()
    assert history(record)["step"].tolist() == list(range(num_steps))
    pd.testing.assert_frame_equal(history(record), history(unbroken), check_exact=True)
    assert len(pd.read_csv(table)) <= num_steps + 10 + 2, "it was trained from the start, not from its checkpoint"
