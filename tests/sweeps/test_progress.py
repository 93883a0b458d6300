"""A sweep's line counts what ended and how, and its rate and time to go follow from the work that was done."""

import io
import time

import pytest
from rich.console import Console

from example_records import write_example
from skiplab.records.record import Record
from skiplab.sweeps import progress
from skiplab.sweeps.job import Job
from skiplab.sweeps.progress import Sweep, follow
from skiplab.sweeps.status import standing
from tiny_trials import TINY, compose_config


@pytest.fixture
def jobs(tmp_path) -> list[Job]:
    """Four trials of equal work."""
    found = []
    for seed in range(4):
        composed = compose_config(*TINY, f"seed={seed}", "trainer.max_steps=10")
        composed.config.run.runs_dir = str(tmp_path)
        found.append(Job([f"seed={seed}", "depth=4"], composed.config, composed.choices))
    return found


def put(record: Record, status: str, steps: int = 0) -> None:
    write_example(
        record.runs_dir,
        record.key,
        status=status,
        factors={"depth": 4, "width": 8, "trainer.max_steps": 10},
        diverged_step=3,
        error="no luck",
    )
    rows = "".join(f"{step},loss,1.0\n" for step in range(steps))
    (record.folder / "history.csv").write_text("step,metric,value\n" + rows)


def test_the_line_and_the_time_to_go(jobs) -> None:
    sweep = Sweep(jobs)
    assert sweep.line().startswith("0/4 trials, ")
    assert sweep.line().endswith("time left unknown yet")
    put(jobs[0].record, "done")
    put(jobs[1].record, "diverged")
    sweep.started = time.monotonic() - 60
    sweep.update()
    assert sweep.line() == "2/4 trials, 1 diverged, 2.0 a minute, 60 s elapsed, about 60 s left"
    put(jobs[2].record, "failed")
    sweep.update()
    assert "3/4 trials, 1 diverged, 1 failed, 3.0 a minute" in sweep.line()


def test_what_was_done_before_the_sweep_is_no_part_of_its_pace(jobs) -> None:
    put(jobs[0].record, "interrupted", steps=10)
    sweep = Sweep(jobs)
    assert sweep.line().endswith("time left unknown yet")


def test_each_running_trial_has_a_line_with_its_overrides(jobs) -> None:
    put(jobs[1].record, "running", steps=5)
    put(jobs[2].record, "running", steps=5)
    sweep = Sweep(jobs)
    with jobs[1].record.locked():
        sweep.update()
    console = Console(width=100, file=io.StringIO())
    console.print(sweep)
    shown = console.file.getvalue()
    assert "step 5 of 10" in shown
    assert "seed=1" in shown
    assert "seed=2" not in shown, "nobody holds it, so it doesn't run"
    assert "depth=4" not in shown, "all trials share it"


def test_a_trial_is_read_only_between_its_begin_and_its_end(jobs, monkeypatch) -> None:
    """Of ten thousand that wait in a queue, each look would open as many files, on a file system that nodes share."""
    read = []
    monkeypatch.setattr(progress, "standing", lambda record: read.append(record.key) or standing(record))
    put(jobs[0].record, "done")
    put(jobs[1].record, "running", steps=5)
    sweep = Sweep(jobs)
    assert sorted(read) == sorted(job.record.key for job in jobs[:2])
    read.clear()
    sweep.update()
    assert read == [jobs[1].record.key]


def test_plain_lines_without_a_terminal(jobs, capsys) -> None:
    put(jobs[0].record, "done")
    with follow(jobs, every_seconds=0.02):
        time.sleep(0.2)
    assert capsys.readouterr().out.startswith("1/4 trials, ")
