"""A sweep trains what is left, tells what failed, and starts nothing where one trial is impossible."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from skiplab.cli import main
from tiny_trials import TINY

GRID = ("connection=plain,identity", "seed=0,1")
OWN = '''
from skiplab.blocks.connections.identity import Identity
from skiplab.errors import SkiplabError

class Failing(Identity):
    """Fails in training, when nothing could know before."""

    def join(self, stream, update, cond):
        if self.training and len(stream) > 1:
            raise RuntimeError("the join broke")
        return stream + update

class Refusing(Identity):
    """Refuses what it is given by its first batch."""

    def join(self, stream, update, cond):
        raise SkiplabError("connection=refusing takes no update; take another")
'''


@pytest.fixture
def own_options(tmp_path, monkeypatch) -> tuple[str, ...]:
    """The flags that bring connection=failing and connection=refusing."""
    folder = tmp_path / "mine"
    (folder / "connection").mkdir(parents=True)
    (folder / "sweep_connections.py").write_text(OWN)
    for option in ("Failing", "Refusing"):
        (folder / "connection" / f"{option.lower()}.yaml").write_text(f"_target_: sweep_connections.{option}\n")
    monkeypatch.syspath_prepend(folder)
    return ("--config-dir", str(folder))


def sweep(runs_dir: Path, *overrides: str, flags: tuple[str, ...] = ()) -> None:
    main(["train", "-m", *flags, "hydra/launcher=basic", *TINY, f"run.runs_dir={runs_dir}", *overrides])


def records(runs_dir: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(runs_dir.glob("*/record.json"))]


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """A study of four trials."""
    runs_dir = tmp_path_factory.mktemp("swept")
    sweep(runs_dir, "run.study=four", *GRID)
    return runs_dir


def test_a_grid_is_trained_and_listed(swept) -> None:
    found = {(r["choices"]["connection"], r["factors"]["seed"]) for r in records(swept) if r["status"] == "done"}
    assert found == {(arm, seed) for arm in ("plain", "identity") for seed in (0, 1)}
    keys = (swept / "studies" / "four" / "keys.txt").read_text().split()
    assert sorted(keys) == sorted(r["key"] for r in records(swept))


def test_the_second_time_nothing_is_trained(swept, capsys, monkeypatch) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in swept.glob("*/*") if path.is_file()}
    monkeypatch.setattr("skiplab.training.trial.run_trial", None)
    sweep(swept, "run.study=four", *GRID)
    assert {path: path.stat().st_mtime_ns for path in swept.glob("*/*") if path.is_file()} == stamps
    output = capsys.readouterr().out
    assert "study four: 4 trials, 4 already done, 0 to train" in output
    assert "nothing left to train" in output


def test_a_wider_grid_trains_what_is_new_and_shares_the_rest(swept, capsys) -> None:
    old = {path: path.stat().st_mtime_ns for path in swept.glob("*/weights.safetensors")}
    sweep(swept, "run.study=five", "connection=plain", "seed=0,1,2")
    assert "study five: 3 trials, 2 already done, 1 to train" in capsys.readouterr().out
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in old.items())
    assert len((swept / "studies" / "five" / "keys.txt").read_text().split()) == 3
    assert len((swept / "studies" / "four" / "keys.txt").read_text().split()) == 4


def test_what_is_measured_alone_isnt_called_training(tmp_path, capsys) -> None:
    sweep(tmp_path, "run.study=one", "seed=0")
    assert "1 trial finished (0 diverged), 0 failed" in capsys.readouterr().out
    sweep(tmp_path, "run.study=one", "seed=0,1", "evaluator=[baselines]")
    assert "study one: 2 trials, 0 already done, 1 to train, 1 to evaluate\n" in capsys.readouterr().out
    sweep(tmp_path, "run.study=one", "seed=1")
    assert "study one: 1 trial, 0 already done, 1 to evaluate\n" in capsys.readouterr().out


def test_two_spellings_of_one_trial_are_one(swept, capsys) -> None:
    sweep(swept, "connection=plain,identity,plain", "seed=0", "optimizer.weight_decay=0,0.0")
    assert "2 trials, 2 already done" in capsys.readouterr().out


def test_a_failing_trial_is_listed_and_stops_no_other(own_options, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        sweep(tmp_path / "runs", "connection=plain,failing,identity", flags=own_options)
    assert ended.value.code == 1
    statuses = {r["choices"]["connection"]: r["status"] for r in records(tmp_path / "runs")}
    assert statuses == {"plain": "done", "failing": "failed", "identity": "done"}
    captured = capsys.readouterr()
    assert "2 trials finished (0 diverged), 1 failed" in captured.out
    told = captured.err.split("1 of 3 trials failed:")[1]
    assert "connection=failing" in told
    assert "the join broke" in told
    assert "connection=plain" not in told


def test_divergence_is_no_failure(tmp_path, capsys) -> None:
    sweep(tmp_path, "optimizer.lr=1e-3,1e6", "trainer.max_steps=12")
    assert sorted(r["status"] for r in records(tmp_path)) == ["diverged", "done"]
    assert "2 trials finished (1 diverged), 0 failed" in capsys.readouterr().out


def test_one_impossible_trial_stops_the_sweep_before_it_starts(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        sweep(tmp_path / "runs", "depth=4,6")
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert "depth=6 is impossible for backbone=unet" in error
    assert "nothing was trained" in error
    assert not (tmp_path / "runs").exists()


def test_a_trial_that_refuses_its_first_batch_stops_the_sweep_before_it_starts(own_options, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        sweep(tmp_path / "runs", "connection=plain,refusing", flags=own_options)
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert "connection=refusing takes no update" in error
    assert "nothing was trained" in error
    assert not (tmp_path / "runs").exists()


def test_the_longest_trials_go_first(tmp_path, monkeypatch) -> None:
    order = []
    from skiplab.training import trial

    def noting(config, choices, *, progress):
        order.append((config.depth, config.trainer.max_steps))
        return trial.Outcome("key", "done", "trained", "")

    monkeypatch.setattr(trial, "run_trial", noting)
    sweep(tmp_path, "depth=4,8", "trainer.max_steps=2,8")
    assert order == [(8, 8), (4, 8), (8, 2), (4, 2)]


@pytest.mark.slow
def test_on_all_cores(tmp_path) -> None:
    """Workers of their own: the same trials, the same weights, and one failure told at the end."""
    command = [sys.executable, "-c", "from skiplab.cli import main; main()", "train", "-m", *TINY, *GRID]
    for name, launcher in (("cores", "skiplab_cores"), ("process", "basic")):
        subprocess.run(
            [*command, f"run.runs_dir={tmp_path / name}", f"hydra/launcher={launcher}"],
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    paths = sorted((tmp_path / "process").glob("*/weights.safetensors"))
    assert len(paths) == 4
    for path in paths:
        other = tmp_path / "cores" / path.parent.name / path.name
        assert other.read_bytes() == path.read_bytes()
