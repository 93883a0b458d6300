"""Trials on a GPU: captured steps are those by hand, nothing waits, everything that measures works there."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file

from option_files import options
from skiplab.blocks.connections.identity import Identity
from skiplab.errors import SkiplabError
from skiplab.instruments.update_ratio import UpdateRatio
from skiplab.training import trainer
from skiplab.training.gpu.captured_step import CapturedStep
from tiny_trials import TINY, Trial, compose_config, run_composed

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU"),
]

NUM_STEPS = 12
GPU = ("trainer=gpu", f"trainer.max_steps={NUM_STEPS}", "instrument=[update_ratio]")
EVERY_INSTRUMENT = f"instrument=[{','.join(options('instrument'))}]"
CLASSIFIER = ("objective=cross_entropy", "backbone=resnet", "long_skip=none", "depth=6", "norm=batch")
TOKENS = ("backbone=dit", "branch=transformer", "long_skip=none", "norm=layer", "branch.num_heads=2")
NETWORKS = {
    "a U-Net": (),
    "running statistics": (*CLASSIFIER, "evaluator=[classification]", "optimizer=sgd", "scheduler=multi_step"),
    "random shortcuts": ("connection=dropout_shortcut",),
    "random depth": ("connection=stochastic_depth",),
    "several streams": ("connection=hyper_connections_dynamic",),
    "doubly stochastic mixing": ("connection=manifold_hyper_connections",),
    "a memory of all updates": ("connection=attention_residuals",),
    "attention": TOKENS,
    "labels": (*TOKENS, "conditioning=label", "connection=adaln_zero_gate"),
    "half the precision": ("trainer.precision=bf16-mixed",),
    "scaled gradients": ("trainer.precision=16-mixed",),
    "clipped gradients": ("trainer.gradient_clip_norm=0.1", "optimizer=adamw", "scheduler=cosine"),
    "activations computed again": ("run.activation_checkpointing=true",),
    "frozen blocks": ("frozen_fraction=0.25",),
    "points": ("data=gaussian_mixture", "backbone=mlp", "branch=mlp", "long_skip=none", "norm=layer", "evaluator=[]"),
    "mirrored photographs": ("data=patches", "augmentation=flip_crop", "feature_extractor=raw"),
}


def run(runs_dir: Path, *overrides: str) -> Trial:
    """TINY where the norm has groups."""
    grouped = not any(override.startswith("norm=") for override in overrides)
    tiny = [override for override in TINY if grouped or not override.startswith("norm.")]
    return run_composed(compose_config(*tiny, *GPU, *overrides), runs_dir)


@pytest.fixture
def replays(monkeypatch) -> list[None]:
    """One entry for each captured step."""
    calls, step = [], CapturedStep.__call__

    def counted(self, drawn):
        calls.append(None)
        return step(self, drawn)

    monkeypatch.setattr(CapturedStep, "__call__", counted)
    return calls


def assert_equal(first: Trial, second: Trial, tables: tuple[str, ...] = ("history.csv", "layers.csv")) -> None:
    weights, others = (load_file(trial.record.weights) for trial in (first, second))
    assert weights.keys() == others.keys()
    for path, values in weights.items():
        assert torch.equal(values, others[path]), path
    for table in tables:
        found = (pd.read_csv(trial.record.folder / table) for trial in (first, second))
        pd.testing.assert_frame_equal(*found, check_exact=True)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_captured_step_is_the_step_by_hand(name: str, tmp_path, replays) -> None:
    settings = ("instrument.update_ratio.every_n_steps=5", *NETWORKS[name])
    by_hand = run(tmp_path / "by hand", *settings, "run.cuda_graph=false")
    assert not replays
    captured = run(tmp_path / "captured", *settings)
    # the first three steps are by hand, and those that instruments look into: 5 and 10
    assert len(replays) == (0 if name == "scaled gradients" else NUM_STEPS - 5)
    assert captured.record.key == by_hand.record.key
    assert_equal(captured, by_hand)


def test_other_training_gives_other_weights(tmp_path) -> None:
    """The comparison above can fail."""
    with pytest.raises(AssertionError):
        assert_equal(run(tmp_path / "1"), run(tmp_path / "2", "optimizer.lr=1.001e-3"))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_measuring_changes_nothing(precision: str, tmp_path) -> None:
    settings = (f"trainer.precision={precision}", "trainer.max_steps=50", "run.checkpoint_every_steps=50")
    without = run(tmp_path / "without", *settings, "instrument=[]")
    composed = compose_config(*TINY, *GPU, *settings, EVERY_INSTRUMENT)
    for instrument in composed.config.instrument.values():
        if "every_n_steps" in instrument:
            instrument.every_n_steps = 2
    assert_equal(run_composed(composed, tmp_path / "with"), without, tables=("history.csv",))


def test_resumed_is_unbroken(tmp_path, monkeypatch) -> None:
    settings = ("instrument.update_ratio.every_n_steps=1", "scheduler=cosine", "run.log_every_steps=5")
    unbroken = run(tmp_path / "unbroken", *settings)
    after_update, calls = UpdateRatio.after_update, []

    def breaking(self):
        calls.append(None)
        if len(calls) == 8:
            raise RuntimeError("the power went")
        return after_update(self)

    monkeypatch.setattr(UpdateRatio, "after_update", breaking)
    with pytest.raises(SkiplabError, match="the power went"):
        run(tmp_path / "broken", *settings)
    resumed = run(tmp_path / "broken", *settings)
    assert resumed.outcome.action == "resumed"
    assert_equal(resumed, unbroken, tables=())


def test_resumed_between_captured_steps_is_unbroken(tmp_path, monkeypatch) -> None:
    settings = ("instrument=[]", "run.checkpoint_every_steps=4", "scheduler=cosine")
    unbroken = run(tmp_path / "unbroken", *settings)
    step, calls = CapturedStep.__call__, []

    def breaking(self, drawn):
        calls.append(None)
        if len(calls) == 7:
            raise RuntimeError("the power went")
        return step(self, drawn)

    monkeypatch.setattr(CapturedStep, "__call__", breaking)
    with pytest.raises(SkiplabError, match="the power went"):
        run(tmp_path / "broken", *settings)
    assert_equal(run(tmp_path / "broken", *settings), unbroken, tables=())


class NoWaiting(pl.Callback):
    """Raises where the program waits for the GPU in a step that doesn't log."""

    def on_train_batch_start(self, trainer, module, batch, batch_index) -> None:
        quiet = batch > 4 and (batch + 1) % 5  # the first steps choose algorithms and capture
        torch.cuda.set_sync_debug_mode("error" if quiet else "default")

    def on_train_end(self, trainer, module) -> None:
        torch.cuda.set_sync_debug_mode("default")

    on_exception = on_train_end


@pytest.mark.parametrize("cuda_graph", ["true", "false"])
@pytest.mark.parametrize("name", ["a U-Net", "running statistics", "random depth", "mirrored photographs", "labels"])
def test_nothing_waits_between_logging_steps(name: str, cuda_graph: str, tmp_path, monkeypatch) -> None:
    make = trainer.make_trainer
    monkeypatch.setattr(
        trainer, "make_trainer", lambda callbacks, *rest, **own: make([NoWaiting(), *callbacks], *rest, **own)
    )
    settings = ("run.log_every_steps=5", "run.checkpoint_every_steps=1000", "trainer.max_steps=30", "evaluator=[]")
    run(tmp_path, "instrument=[]", *NETWORKS[name], *settings, f"run.cuda_graph={cuda_graph}")


def test_a_network_that_draws_on_the_cpu_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Identity, "join", lambda self, stream, update, cond: stream + float(torch.rand(())) * update)
    with pytest.raises(SkiplabError, match=r"on the CPU in training.*add run.cuda_graph=false"):
        run(tmp_path)


def test_a_network_that_waits_for_the_gpu_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Identity, "join", lambda self, stream, update, cond: stream + float(update.mean()) * update)
    with pytest.raises(SkiplabError, match=r"can't be captured.*add run.cuda_graph=false"):
        run(tmp_path)


ASK = {
    "classification": (*CLASSIFIER, "activation=relu"),
    "calibration": CLASSIFIER,
    "per_class": CLASSIFIER,
    "bayes_floor": ("data=gaussian_mixture", "backbone=mlp", "branch=mlp", "long_skip=none", "norm=layer"),
    "gradient_correlation": CLASSIFIER,
    "shattered_gradients": (),
    "effective_depth": ("long_skip=none",),
}
SMALL = ("evaluator.kernel_distance.subset_size=16", "evaluator.landscape.num_points=3")


@pytest.mark.parametrize("evaluator", options("evaluator"))
def test_each_evaluator_measures_there(evaluator: str, tmp_path) -> None:
    small = [each for each in SMALL if f".{evaluator}." in each]
    trial = run(tmp_path, *ASK.get(evaluator, ()), "evaluator=[]", "instrument=[]")
    there = run(tmp_path, *ASK.get(evaluator, ()), f"evaluator=[{evaluator}]", *small, "instrument=[]")
    assert there.outcome.action == "evaluated"
    assert there.record.key == trial.record.key
    content = there.record.read()
    assert content["evaluators"].keys() == {evaluator}
    values = [value for value in content["summary"].values() if isinstance(value, float)]
    assert all(value == value for value in values)


def test_two_trials_of_a_sweep_share_the_gpu(tmp_path) -> None:
    words = [
        *TINY,
        *GPU,
        "seed=0,1,2",
        f"run.runs_dir={tmp_path}",
        "hydra.launcher.trials_per_gpu=2",
        "run.study=shared",
    ]
    command = [sys.executable, "-c", "from skiplab.cli import main; main()", "train", "-m", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert "3 trials finished" in done.stdout + done.stderr
