"""A sweep on a real SLURM: submitted, preempted, requeued, resumed, with the results of the same sweep in process."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from waiting_connection import FOLDER, WAITING

from forked_process import Forked, forked_command
from skiplab.cli import main
from slurm_cluster import Cluster, missing
from tiny_trials import TINY

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

GRID = (*WAITING, "seed=0,1", "trainer.max_steps=300", "run.checkpoint_every_steps=10")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        cluster = Cluster(Path(folder))
        cluster.environment |= {"PYTHONPATH": os.pathsep.join([FOLDER, *filter(None, sys.path)]), "WAIT": ""}
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def words(runs_dir: Path, launcher: str) -> list[str]:
    return ["train", "-m", *TINY, *GRID, f"run.runs_dir={runs_dir}", f"hydra/launcher={launcher}"]


def submitted(cluster: Cluster, runs_dir: Path) -> Forked:
    command = [*words(runs_dir, "skiplab_slurm"), "hydra.launcher.partition=low"]
    return forked_command(command, environment=cluster.environment)


def finish(sweep: Forked) -> str:
    said, errors = sweep.communicate(timeout=240)
    assert sweep.returncode == 0, said + errors
    return said + errors


def records(runs_dir: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(runs_dir.glob("*/record.json"))]


def weights(runs_dir: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in runs_dir.glob("*/weights.safetensors")}


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def test_preempted_warned_and_requeued_trials_resume_to_equal_weights(cluster, tmp_path) -> None:
    runs_dir = tmp_path / "slurm"
    sweep = submitted(cluster, runs_dir)

    def tasks() -> dict[str, dict[str, str]]:
        return {job["ArrayTaskId"]: job for job in cluster.jobs() if "ArrayTaskId" in job}

    def task(number: str) -> str:
        """Its name; a number alone may stand for the whole array."""
        return f"{tasks()[number]['ArrayJobId']}_{number}"

    def steps() -> list[int]:
        """The latest checkpoint of each trial that has one."""
        folders = [path for path in runs_dir.glob("*/checkpoints") if any(path.iterdir())]
        names = [[path.stem for path in folder.glob("*.ckpt")] for folder in folders]
        return [max(int(name.removeprefix("step=").split("-")[0]) for name in each) for each in names if each]

    def statuses() -> list[str]:
        return sorted(content["status"] for content in records(runs_dir))

    wait_until(lambda: len(steps()) == 2, "both trials write checkpoints")
    cluster("sbatch", "-p", "high", "-n", "2", "-o", "/dev/null", "--wrap", "sleep 1")
    wait_until(lambda: statuses() == ["interrupted"] * 2, "preemption interrupts both")
    reached = steps()
    assert min(reached) > 0
    assert all("SIGUSR2" in content["error"] for content in records(runs_dir))
    wait_until(lambda: statuses() == ["running"] * 2 and min(steps()) > max(reached), "both resume", 120)

    cluster("scancel", "--signal=USR2", task("0"))
    wait_until(lambda: statuses() == ["interrupted", "running"], "the warning before a time limit interrupts one")
    cluster("scontrol", "requeue", task("1"))
    said = finish(sweep)
    assert "2 trials finished (0 diverged), 0 failed" in said
    assert {number: job["Restarts"] for number, job in tasks().items()} == {"0": "2", "1": "2"}, said

    main(words(tmp_path / "process", "basic"))
    assert len(weights(runs_dir)) == 2
    assert weights(runs_dir) == weights(tmp_path / "process")
    for content in records(runs_dir):
        history = (runs_dir / content["key"] / "history.csv").read_text().split("\n")[1:-1]
        first = [int(row.split(",")[0]) for row in history]
        assert first.count(0) == 1, "it resumed from a checkpoint, and never began anew"
        assert sorted(set(first)) == list(range(300))

    jobs = cluster.jobs()
    assert "2 already done, 0 to train" in finish(submitted(cluster, runs_dir))
    assert len(cluster.jobs()) == len(jobs), "what is done isn't submitted again"


def test_a_job_trains_several_trials(cluster, tmp_path) -> None:
    """Three trials in jobs of two: two jobs, all records, and the weights of trials that were trained alone."""
    before = {job["JobId"] for job in cluster.jobs()}
    grid = ("seed=0,1,2", "trainer.max_steps=3")
    packed = ["hydra/launcher=skiplab_slurm", "hydra.launcher.partition=low", "hydra.launcher.trials_per_job=2"]
    command = ["train", "-m", *TINY, *grid, f"run.runs_dir={tmp_path / 'slurm'}", *packed]
    said = finish(forked_command(command, environment=cluster.environment))
    assert "3 trials finished (0 diverged), 0 failed" in said
    assert len([job for job in cluster.jobs() if job["JobId"] not in before]) == 2, said
    results = [path.stat().st_size for path in tmp_path.glob("slurm/.submitit/*/*_result.pkl")]
    assert len(results) == 2
    assert max(results) < 10_000, "without configurations, which for 10,000 trials take a gigabyte"
    main(["train", "-m", *TINY, *grid, f"run.runs_dir={tmp_path / 'process'}", "hydra/launcher=basic"])
    assert len(weights(tmp_path / "slurm")) == 3
    assert weights(tmp_path / "slurm") == weights(tmp_path / "process")
