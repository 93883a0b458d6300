"""What Lightning asks for around a captured step, with a stand-in on the CPU that does the step by hand."""

from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from skiplab.training import fit
from skiplab.training.gpu import gpu_module
from skiplab.training.gpu.captured_step import CapturedStep, DeviceRates, fuse
from skiplab.training.gpu.gpu_module import GPUModule
from tiny_trials import Trial, run_tiny

NUM_STEPS = 12


class ByHand(CapturedStep):
    """Does at each call what a replay does."""

    def __call__(self, batch):
        with self.rates.on_device():
            self.optimizer.zero_grad()
            loss = self.mean_loss(batch)
            loss.backward()
            self.clip()
            self.optimizer.step()
        return loss.detach()


def run(runs_dir: Path, monkeypatch, captures: bool, *overrides: str) -> tuple[Trial, list[None]]:
    """A trial by the module, and an entry for each of its captured steps."""
    calls: list[None] = []

    class Counted(ByHand):
        def __call__(self, batch):
            calls.append(None)
            return super().__call__(batch)

    monkeypatch.setattr(gpu_module, "CapturedStep", Counted)
    monkeypatch.setattr(fit, "AblationModule", partial(GPUModule, captures=captures))
    own = (f"trainer.max_steps={NUM_STEPS}", "instrument=[update_ratio]", "instrument.update_ratio.every_n_steps=5")
    return run_tiny(runs_dir, *own, *overrides), calls


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("trainer.gradient_clip_norm=0.1", "optimizer=adamw", "scheduler=cosine"),
        ("optimizer=sgd", "scheduler=multi_step", "connection=stochastic_depth"),
    ],
    ids=" ".join,
)
def test_a_step_done_at_once_is_done_once(settings: tuple[str, ...], tmp_path, monkeypatch) -> None:
    by_hand, none = run(tmp_path / "by hand", monkeypatch, False, *settings)
    captured, calls = run(tmp_path / "captured", monkeypatch, True, *settings)
    # the first three steps are by hand, and those that instruments look into: 5 and 10
    assert (len(none), len(calls)) == (0, NUM_STEPS - 5)
    weights, others = (load_file(trial.record.weights) for trial in (by_hand, captured))
    for path, values in weights.items():
        assert torch.equal(values, others[path]), path
    for table in ("history.csv", "layers.csv"):
        found = (pd.read_csv(trial.record.folder / table) for trial in (by_hand, captured))
        pd.testing.assert_frame_equal(*found, check_exact=True)


def test_rates_are_tensors_only_while_the_optimizer_steps() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    rates = DeviceRates(optimizer, torch.device("cpu"))
    with rates.on_device():
        first = optimizer.param_groups[0]["lr"]
        assert isinstance(first, torch.Tensor)
        assert first.item() == 0.5
    assert optimizer.param_groups[0]["lr"] == 0.5
    optimizer.param_groups[0]["lr"] = 0.25
    with rates.on_device():
        assert optimizer.param_groups[0]["lr"] is first  # what was captured reads this very tensor
        assert first.item() == 0.25


@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD"])
def test_optimizers_with_fused_kernels_get_them(name: str) -> None:
    optimizer = getattr(torch.optim, name)([torch.nn.Parameter(torch.ones(2))], lr=0.1)
    assert fuse(optimizer)
    assert optimizer.param_groups[0]["fused"] is True


def test_others_step_as_they_do() -> None:
    optimizer = torch.optim.Rprop([torch.nn.Parameter(torch.ones(2))])
    before = dict(optimizer.param_groups[0])
    assert not fuse(optimizer)
    assert optimizer.param_groups[0] == before
