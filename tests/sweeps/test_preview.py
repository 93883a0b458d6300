"""A dry run prints the grid, what is done and what is left, with costs and time; nothing is written."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from skiplab.cli import main
from skiplab.sweeps import speed
from skiplab.sweeps.job import Job
from tiny_trials import TINY, compose_config

GRID = ["train", "-m", *TINY, "connection=plain,identity", "seed=0,1"]


def shown(arguments: list[str], runs_dir: Path, capsys: pytest.CaptureFixture) -> str:
    main([*arguments, f"run.runs_dir={runs_dir}"])
    return " ".join(capsys.readouterr().out.split())


def test_a_grid_that_was_never_run(tmp_path, capsys) -> None:
    found = shown([*GRID, "--dry-run"], tmp_path / "runs", capsys)
    assert re.search(r"4 trials: 4 left; about \d+ s of training on one worker, by steps timed here; evaluation", found)
    for words in ("connection=plain seed=0", "connection=identity seed=1", "parameters", "FLOPs"):
        assert words in found
    assert "width=8" not in found, "all trials share it"
    assert not (tmp_path / "runs").exists()


def test_what_training_the_rest_costs(tmp_path, capsys) -> None:
    main(["train", *TINY, "connection=plain", "seed=0", f"run.runs_dir={tmp_path}"])
    content = json.loads(next(tmp_path.glob("*/record.json")).read_text())
    config = OmegaConf.load(next(tmp_path.glob("*/config.yaml")))
    a_trial = 3 * content["parity"]["flops_per_sample"] * config.batch_size * config.trainer.max_steps
    assert f"{3 * a_trial:.2g} FLOPs to train what is left" in shown([*GRID, "--dry-run"], tmp_path, capsys)
    again = shown([*GRID, "--dry-run", "run.activation_checkpointing=true"], tmp_path, capsys)
    assert f"{4 * a_trial:.2g} FLOPs to train what is left" in again


def test_a_grid_that_is_half_done(tmp_path, capsys) -> None:
    main(["train", *TINY, "connection=plain", "seed=0", f"run.runs_dir={tmp_path}"])
    before = sorted(path for path in tmp_path.rglob("*"))
    found = shown([*GRID, "--dry-run"], tmp_path, capsys)
    assert "4 trials: 1 done, 3 left; about " in found
    assert "left on one worker" in found
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_a_trial_that_lacks_an_evaluator_is_measured_again(tmp_path, capsys) -> None:
    alone = ["train", *TINY]
    main([*alone, f"run.runs_dir={tmp_path}"])
    capsys.readouterr()
    assert "1 trial: 1 done; nothing left to train" in shown([*alone, "--dry-run"], tmp_path, capsys)
    more = [*alone, "evaluator=[denoising_loss,baselines]", "--dry-run"]
    assert "1 trial: 1 evaluated again;" in shown(more, tmp_path, capsys)


def test_what_cant_be_built_is_refused(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["train", *TINY, "depth=5", "--dry-run", f"run.runs_dir={tmp_path / 'runs'}"])
    assert "depth=5 is impossible" in capsys.readouterr().err


def test_the_time_of_a_step_is_linear_in_its_flops(tmp_path, monkeypatch) -> None:
    """Two trials are timed, and the third lies on their line."""
    flops = {"a": 10.0, "b": 40.0, "c": 20.0}
    jobs = [Fake(name, config(accelerator="cpu", max_steps=100)) for name in flops]
    timed: list[str] = []

    def step_seconds(job: Any, seconds: float) -> float:
        timed.append(job.name)
        return 0.001 + 0.0002 * flops[job.name]

    monkeypatch.setattr(speed, "step_seconds", step_seconds)
    found = speed.expected_seconds(jobs, lambda job: 100 * flops[job.name])
    assert found == pytest.approx(100 * (3 * 0.001 + 0.0002 * 70))
    assert timed == ["a", "b"]
    needs_gpu = [Fake("a", config(accelerator="gpu", max_steps=1))]
    if not torch.cuda.is_available():
        assert speed.expected_seconds(needs_gpu, lambda job: 1.0) is None


@dataclass(eq=False)
class Fake:
    """What is asked of a job."""

    name: str
    config: SimpleNamespace


def config(**trainer: Any) -> SimpleNamespace:
    return SimpleNamespace(trainer=SimpleNamespace(**trainer))


def test_steps_are_timed_without_a_trace(tmp_path) -> None:
    """What is timed is a step of the trial itself: the FLOPs' rough time, and no generator is moved."""
    composed = compose_config(*TINY, f"run.runs_dir={tmp_path}")
    before = torch.get_rng_state()
    seconds = speed.step_seconds(Job([], composed.config, composed.choices), 0.05)
    assert 1e-4 < seconds < 10
    assert torch.equal(torch.get_rng_state(), before)
    assert list(tmp_path.iterdir()) == []
