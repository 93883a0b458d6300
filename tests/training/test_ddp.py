"""Several processes train what one alone would, and end together."""

import fcntl
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import failing_rank
import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file
from torch import distributed

from drawing_module import drawing_module
from option_files import options
from skiplab.data.dataset import Split
from skiplab.errors import Interrupted, SkiplabError
from skiplab.instruments.update_ratio import UpdateRatio
from skiplab.objectives.training_batch import TrainingBatch
from skiplab.training.build import build
from skiplab.training.factory import factory
from skiplab.training.machine import check_machine
from skiplab.training.module import AblationModule
from skiplab.training.ranks.process_group import check_ranks, together
from tiny_trials import TINY, compose_config, network, run_composed, run_tiny

NUM_STEPS = 9
STEPS = (f"trainer.max_steps={NUM_STEPS}", "run.log_every_steps=5", "instrument.update_ratio.every_n_steps=1")
OBJECTIVES = {
    "denoising": ("conditioning=label", "augmentation=flip_crop"),
    "cross_entropy": ("objective=cross_entropy", "backbone=resnet", "long_skip=none", "depth=3", "evaluator=[]"),
}


class Seen(pl.Callback):
    """Notes the rows of a step's pass, its gradients and its loss."""

    def on_train_start(self, trainer, module) -> None:
        module.model.register_forward_pre_hook(lambda _, arguments: setattr(self, "num_rows", len(arguments[0])))

    def on_before_optimizer_step(self, trainer, module, optimizer) -> None:
        self.gradients = {name: parameter.grad.clone() for name, parameter in module.model.named_parameters()}

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index) -> None:
        self.loss = outputs["loss"].item()


def one_step(trainer: str, objective: str, folder: Path) -> Seen:
    """A step in double precision, within the process group where there is one."""
    config = compose_config(*TINY, *OBJECTIVES[objective], f"trainer={trainer}", "trainer.max_steps=1").config
    parts = build(config)
    config.trainer.precision = "64-true"
    module = AblationModule(
        parts.model,
        parts.objective,
        Split(parts.data.train.stored.double(), parts.data.train.labels),
        augmentation=parts.augmentation,
        batch_size=config.batch_size,
        seed=config.seed,
        optimizer=parts.optimizer,
        scheduler=parts.scheduler,
    )
    seen = Seen()
    factory(config.trainer, pl.Trainer)([seen], None, folder, 1000, False).fit(module)
    return seen


def one_step_of_each(folder: Path) -> None:
    """What the other rank does."""
    for objective in OBJECTIVES:
        one_step("ddp", objective, folder)


@pytest.mark.usefixtures("forked_ranks")
def test_the_gradient_is_the_single_processs(tmp_path) -> None:
    with together(one_step_of_each, tmp_path, num_ranks=2, backend="gloo"):
        shared = {objective: one_step("ddp", objective, tmp_path) for objective in OBJECTIVES}
    for objective, seen in shared.items():
        alone = one_step("cpu", objective, tmp_path)
        assert (seen.num_rows, alone.num_rows) == (8, 16)
        assert seen.loss == pytest.approx(alone.loss, rel=1e-13)
        assert seen.gradients.keys() == alone.gradients.keys()
        for name, gradient in seen.gradients.items():
            expected = alone.gradients[name]
            assert expected.abs().max() > 0, name
            torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12 * expected.abs().max().item())


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_loss_of_some_rows_is_those_rows_of_the_loss(objective: str) -> None:
    config = compose_config(*TINY, *OBJECTIVES[objective]).config
    parts = build(config)
    images, labels = parts.data.train.first(6)
    whole = parts.objective.loss(parts.model, images, labels, torch.Generator().manual_seed(0))
    drawn = parts.objective.draw(images, labels, torch.Generator().manual_seed(0))
    rows = parts.objective.loss_of(parts.model, drawn.map(lambda tensor: tensor[2:5]))
    torch.testing.assert_close(rows, whole[2:5], rtol=1e-5, atol=1e-6)
    assert whole.unique().numel() == 6, "rows differ, else any would do"


def fork_ranks(patched: pytest.MonkeyPatch) -> None:
    """Let the other ranks begin with all modules imported, which takes them seven seconds otherwise."""
    context = multiprocessing.get_context

    def forking(method: str | None = None):
        gc.collect()  # a process group that failed, else a rank may destroy its copy, without its threads, and abort
        return context("fork" if method == "spawn" else method)

    patched.setattr(multiprocessing, "get_context", forking)


@pytest.fixture
def forked_ranks(monkeypatch) -> None:
    fork_ranks(monkeypatch)


def other_ranks() -> list[multiprocessing.Process]:
    return [process for process in multiprocessing.active_children() if process.name.startswith("skiplab-rank")]


def shared_trial(runs_dir: Path, *overrides: str):
    return run_tiny(runs_dir, "trainer=ddp", *STEPS, *overrides)


def history(record) -> pd.Series:
    """The loss of each step; of rows that a resumed trial wrote again, the last."""
    return pd.read_csv(record.folder / "history.csv").drop_duplicates("step", keep="last").set_index("step")["value"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A trial of two ranks; those of slow tests, which are spawned, must equal it to the last bit."""
    with pytest.MonkeyPatch.context() as patched:
        fork_ranks(patched)
        return shared_trial(tmp_path_factory.mktemp("unbroken")).record


def test_weights_and_losses_are_the_single_processs_up_to_rounding(unbroken, tmp_path) -> None:
    alone = run_tiny(tmp_path, *STEPS).record
    np.testing.assert_allclose(history(unbroken), history(alone), rtol=1e-5)
    found, expected = load_file(unbroken.weights), load_file(alone.weights)
    initial = network(compose_config(*TINY).config).state_dict()
    off = sum((found[name] - value).square().sum() for name, value in expected.items()).sqrt()
    way = sum((initial[name] - value).square().sum() for name, value in expected.items()).sqrt()
    assert 0 < off < 1e-3 * way
    summary = alone.read()["summary"]
    assert unbroken.read()["summary"] == {name: pytest.approx(value, rel=1e-3) for name, value in summary.items()}
    assert unbroken.key != alone.key, "sums are rounded differently, so it is another trial"


@pytest.mark.usefixtures("forked_ranks")
def test_a_killed_rank_fails_the_trial_which_resumes_bit_equal(unbroken, tmp_path, monkeypatch, capsys) -> None:
    after_update, calls = UpdateRatio.after_update, []

    def killing(self):
        calls.append(None)
        if len(calls) == 6:
            (other,) = other_ranks()
            other.kill()
        return after_update(self)

    started = time.monotonic()
    with monkeypatch.context() as patched:
        patched.setattr(UpdateRatio, "after_update", killing)
        with pytest.raises(SkiplabError, match="rank 1 failed: it ended with exit code -9"):
            shared_trial(tmp_path)
    assert time.monotonic() - started < 60
    assert other_ranks() == []
    assert not distributed.is_initialized()
    again = shared_trial(tmp_path)
    assert again.outcome.action == "resumed"
    assert again.record.weights.read_bytes() == unbroken.weights.read_bytes()
    pd.testing.assert_series_equal(history(again.record), history(unbroken), check_exact=True)
    assert history(again.record).index.tolist() == list(range(NUM_STEPS))


@pytest.mark.slow
def test_a_signal_stops_all_ranks_and_the_trial_resumes_bit_equal(unbroken, tmp_path, monkeypatch) -> None:
    after_update, calls = UpdateRatio.after_update, []

    def signalling(self):
        calls.append(None)
        if len(calls) == 4:
            (other,) = other_ranks()
            os.kill(other.pid, signal.SIGTERM)
            time.sleep(0.5)
        return after_update(self)

    with monkeypatch.context() as patched:
        patched.setattr(UpdateRatio, "after_update", signalling)
        with pytest.raises(Interrupted, match="SIGTERM"):
            shared_trial(tmp_path)
    assert other_ranks() == []
    assert len(calls) in (4, 5)
    again = shared_trial(tmp_path)
    assert again.outcome.action == "resumed"
    assert again.record.weights.read_bytes() == unbroken.weights.read_bytes()
    pd.testing.assert_series_equal(history(again.record), history(unbroken), check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize("instruments", [[], options("instrument")], ids=["none", "all"])
def test_two_runs_are_bit_equal_whatever_is_measured(instruments: list[str], unbroken, tmp_path) -> None:
    composed = compose_config(*TINY, "trainer=ddp", f"instrument=[{','.join(instruments)}]", *STEPS[:2])
    for instrument in composed.config.instrument.values():
        if "every_n_steps" in instrument:
            instrument.every_n_steps = 2  # the least that suits all
    again = run_composed(composed, tmp_path).record
    assert again.weights.read_bytes() == unbroken.weights.read_bytes()
    pd.testing.assert_series_equal(history(again), history(unbroken), check_exact=True)


@pytest.mark.slow
def test_an_error_of_another_rank_is_told(tmp_path, capsys) -> None:
    composed = compose_config(*TINY, "trainer=ddp")
    composed.config.connection = failing_rank.NODE
    with pytest.raises(SkiplabError, match="rank 1 failed: ValueError: the power went"):
        run_composed(composed, tmp_path)
    assert other_ranks() == []
    (path,) = tmp_path.glob("*/record.json")
    assert "failing_rank.py" in path.read_text(), "its traceback"


@pytest.mark.slow
def test_divergence_ends_all_ranks_at_the_step_at_which_it_ends_one(tmp_path) -> None:
    diverging = ("optimizer.lr=1000", "trainer.max_steps=40", "divergence_factor=10")
    alone, shared = (run_tiny(tmp_path, f"trainer={trainer}", *diverging).record for trainer in ("cpu", "ddp"))
    assert shared.read()["status"] == alone.read()["status"] == "diverged"
    assert shared.read()["diverged_step"] == alone.read()["diverged_step"]
    assert other_ranks() == []


@pytest.mark.slow
def test_a_killed_trial_takes_its_ranks_along_and_resumes_bit_equal(unbroken, tmp_path) -> None:
    program = f"from test_ddp import killed_trial; from pathlib import Path; killed_trial(Path({str(tmp_path)!r}))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    again = shared_trial(tmp_path)
    assert again.outcome.action == "resumed"
    assert again.record.weights.read_bytes() == unbroken.weights.read_bytes()
    pd.testing.assert_series_equal(history(again.record), history(unbroken), check_exact=True)


def killed_trial(runs_dir: Path) -> None:
    """A trial whose process kills itself in step 5."""
    after_update, calls = UpdateRatio.after_update, []

    def killing(self):
        calls.append(None)
        if len(calls) == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return after_update(self)

    UpdateRatio.after_update = killing
    shared_trial(runs_dir)


@pytest.mark.slow
def test_no_rank_outlives_a_killed_trial(tmp_path) -> None:
    program = f"from test_ddp import killed_while_waiting; killed_while_waiting({str(tmp_path)!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    with (tmp_path / "lock").open() as lock:
        deadline = time.monotonic() + 20
        while not _locks(lock):
            assert time.monotonic() < deadline, "the other rank still holds it"
            time.sleep(0.05)


def _locks(file) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def hold_and_wait(folder: str) -> None:
    """What the other rank does: it holds a lock, and never comes to an end by itself."""
    with Path(folder, "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        distributed.barrier()
        time.sleep(600)


def killed_while_waiting(folder: str) -> None:
    with together(hold_and_wait, folder, num_ranks=2, backend="gloo"):
        distributed.barrier()
        os.kill(os.getpid(), signal.SIGKILL)


def test_randomness_inside_the_model_differs_between_ranks() -> None:
    """Each rank's dropout masks are its own, so such a network can't equal the single process's."""

    class Draws:
        def draw(self, images, labels, generator):
            return TrainingBatch(images, labels)

        def loss_of(self, model, batch):
            self.rows, self.random = batch.images.flatten().tolist(), torch.rand(4)
            return batch.images.flatten(1).sum(1)

    def drawn(rank: int, world_size: int) -> Draws:
        objective = Draws()
        module = drawing_module(torch.nn.Identity(), objective, global_step=0, global_rank=rank, world_size=world_size)
        module.training_step(0, 0)
        return objective

    alone, first, second = drawn(0, 1), drawn(0, 2), drawn(1, 2)
    assert first.rows + second.rows == alone.rows
    assert torch.equal(first.random, alone.random)
    assert not torch.equal(first.random, second.random)


def refused(*overrides: str) -> str:
    config = compose_config(*TINY, "trainer=ddp", *overrides).config
    with pytest.raises(SkiplabError) as refusal:
        check_ranks(config, network(config))
    return str(refusal.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "batch_size=15",
            "batch_size=15 can't be shared equally by trainer.devices=2; valid: a multiple of 2, such as",
        ),
        ("trainer.devices=0", "trainer.devices=0 is invalid; valid: a whole number from 1"),
        ("trainer.devices=1.5", "trainer.devices=1.5 is invalid"),
        ("trainer.backend=mpi", "trainer.backend=mpi is invalid; valid: gloo, nccl"),
        ("trainer.backend=nccl", "choose trainer.backend=gloo"),
        ("trainer.devices=8", "valid: a multiple of 8, such as 24"),
    ],
)
def test_refuses_what_ranks_cant_share(override: str, message: str) -> None:
    others = ["batch_size=20"] if override == "trainer.devices=8" else []
    assert message in refused(override, *others)


def test_refuses_more_devices_than_there_are_gpus(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    config = compose_config(*TINY, "trainer=ddp", "trainer.accelerator=gpu", "trainer.backend=nccl").config
    with pytest.raises(SkiplabError, match=r"trainer\.devices=2 needs 2 GPUs, and PyTorch can use 1 here"):
        check_machine(config)


def test_refuses_batch_norm_but_on_one_device() -> None:
    batch_norm = [override for override in TINY if not override.startswith("norm.")] + ["trainer=ddp", "norm=batch"]
    config = compose_config(*batch_norm).config
    with pytest.raises(SkiplabError, match="choose norm=group or norm=layer, or one device"):
        check_ranks(config, network(config))
    config.trainer.devices = 1
    check_ranks(config, network(config))
