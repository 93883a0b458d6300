"""Workers and the sweep itself are killed at random times, until all is done: nothing is lost, nothing is twice."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from tiny_trials import TINY

NUM_TRIALS, NUM_KILLS, MOST_RUNS = 24, 10, 20
WORKERS_A_RUN = 2  # killed before the sweep is, which would otherwise go on by itself to the end
GRID = (*TINY, "connection=plain,identity", "seed=range(12)", "trainer.max_steps=24", "run.checkpoint_every_steps=5")


def start(runs_dir: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", "from skiplab.cli import main; main()", "train", "-m", *GRID]
    return subprocess.Popen(
        [*command, f"run.runs_dir={runs_dir}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def kill_one(sweep: subprocess.Popen, draw: random.Random) -> bool:
    """Kill a worker or the process of a trial, whichever it comes to; False where none is there yet."""
    try:
        family = psutil.Process(sweep.pid).children(recursive=True)
        draw.choice([process for process in family if "popen_loky" in " ".join(process.cmdline())]).kill()
    except (psutil.NoSuchProcess, IndexError):
        return False
    return True


@pytest.mark.slow
def test_a_sweep_whose_workers_are_killed_ends_as_an_undisturbed_one(tmp_path) -> None:
    draw, killed, runs = random.Random(0), 0, 0
    disturbed, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"
    finished = False
    while runs < MOST_RUNS and not finished:
        runs, in_this_run = runs + 1, 0
        sweep = start(disturbed)
        while sweep.poll() is None:
            time.sleep(draw.uniform(0.05, 0.5))
            if killed < NUM_KILLS and list(disturbed.glob("*/record.json")):
                if in_this_run == WORKERS_A_RUN:
                    sweep.kill()
                    sweep.wait()
                hit = sweep.returncode is not None or kill_one(sweep, draw)
                killed, in_this_run = killed + hit, in_this_run + hit
        finished = killed >= NUM_KILLS and sweep.returncode == 0
    print(f"{killed} processes killed in {runs} runs of the sweep")
    assert finished
    assert start(undisturbed).wait() == 0

    found = {path.parent.name: json.loads(path.read_text()) for path in disturbed.glob("*/record.json")}
    assert len(found) == NUM_TRIALS
    assert {content["status"] for content in found.values()} == {"done"}
    assert sorted((disturbed / "studies" / "default" / "keys.txt").read_text().split()) == sorted(found)
    for key, content in found.items():
        other = undisturbed / key
        assert content["summary"] == json.loads((other / "record.json").read_text())["summary"]
        assert (disturbed / key / "weights.safetensors").read_bytes() == (other / "weights.safetensors").read_bytes()
        rows, others = (pd.read_csv(folder / key / "history.csv") for folder in (disturbed, undisturbed))
        last = rows.drop_duplicates(["step", "metric"], keep="last").sort_values(["step", "metric"])
        pd.testing.assert_frame_equal(last.reset_index(drop=True), others)
        assert not list((disturbed / key).rglob(".*.[0-9]*")), "what a killed process had begun to write"
