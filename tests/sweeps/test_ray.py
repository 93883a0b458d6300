"""A sweep on a local Ray: the results of the same sweep in process, and what becomes of a worker that is killed."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from skiplab.cli import main
from tiny_trials import TINY

HERE = importlib.util.find_spec("ray") is not None
RAY = ("hydra/launcher=skiplab_ray", "hydra.launcher.ray.init.address=local", "+hydra.launcher.ray.init.num_cpus=2")


def start(runs_dir: Path, *overrides: str) -> subprocess.Popen:
    command = [sys.executable, "-c", "from skiplab.cli import main; main()", "train", "-m", *TINY, "connection=plain"]
    return subprocess.Popen(
        [*command, f"run.runs_dir={runs_dir}", *overrides], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ended(sweep: subprocess.Popen) -> str:
    said, _ = sweep.communicate(timeout=240)
    assert sweep.returncode == 0, said
    return said


def weights(runs_dir: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in runs_dir.glob("*/weights.safetensors")}


@pytest.mark.skipif(not HERE, reason="Ray isn't installed: pip install 'skiplab[ray]'")
def test_a_killed_worker_is_replaced_and_all_ends_as_in_process(tmp_path) -> None:
    grid = ("seed=0,1,2", "trainer.max_steps=300", "run.checkpoint_every_steps=10")
    sweep = start(tmp_path / "ray", *RAY, *grid)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "ray").glob("*/checkpoints/*.ckpt")):
        assert time.monotonic() < deadline
        assert sweep.poll() is None
        time.sleep(0.05)
    family = psutil.Process(sweep.pid).children(recursive=True)
    next(process for process in family if process.name() == "ray::_run_job").kill()
    assert "3 trials finished (0 diverged), 0 failed" in ended(sweep)
    records = [json.loads(path.read_text()) for path in (tmp_path / "ray").glob("*/record.json")]
    assert {record["status"] for record in records} == {"done"}
    ended(start(tmp_path / "basic", "hydra/launcher=basic", *grid))
    assert weights(tmp_path / "ray") == weights(tmp_path / "basic")
    assert len(weights(tmp_path / "ray")) == 3


@pytest.mark.skipif(HERE, reason="Ray is installed")
def test_without_ray_it_is_said_how_to_get_it(tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["train", "-m", *TINY, "seed=0,1", "hydra/launcher=skiplab_ray", f"run.runs_dir={tmp_path}"])
    said = capsys.readouterr().err
    assert "hydra/launcher=skiplab_ray needs Ray" in said
    assert "pip install 'skiplab[ray]'" in said
    assert not list(tmp_path.iterdir())
