"""Where a study stands is read from its records: every state, its share of work, and the time to go."""

import fcntl
from pathlib import Path

import pytest
from rich.console import Console

from example_records import write_example
from skiplab.cli import main
from skiplab.errors import SkiplabError
from skiplab.sweeps.status import Standing, Started, read_standings, render, seconds_left


@pytest.fixture
def study(tmp_path: Path):
    """study(state, ...): a trial of the study `s` in that state; returns its folder."""
    keys: list[str] = []

    def add(status: str | None, *, steps: int = 0, seed: int = 0, seconds: float = 10.0, **fields) -> Path:
        key = f"{len(keys):016x}"
        keys.append(key)
        (tmp_path / "studies" / "s").mkdir(parents=True, exist_ok=True)
        (tmp_path / "studies" / "s" / "keys.txt").write_text("\n".join(keys) + "\n")
        folder = tmp_path / key
        if status is None:
            return folder
        write_example(
            tmp_path, key, status=status, factors={"seed": seed}, provenance={"wall_seconds": seconds}, **fields
        )
        rows = "".join(f"{step},loss,1.0\n" for step in range(steps))
        (folder / "history.csv").write_text("step,metric,value\n" + rows)
        return folder

    return add


def states(folder: Path) -> dict[str, tuple[str, float]]:
    return {each.state: (each.note, each.fraction) for each in read_standings("s", folder)}


def test_every_state_is_told(study, tmp_path) -> None:
    study("done")
    study("diverged", diverged_step=7)
    study("failed", steps=30, error="Traceback\n  deep\nZeroDivisionError: no such luck\n")
    study("running", steps=40)
    study(None)
    (study("done") / "record.json").write_text("{torn")
    with (study("running", steps=60) / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = states(tmp_path)
    assert found.pop("unreadable")[0].startswith(str(tmp_path))
    assert found == {
        "done": ("", 1.0),
        "diverged": ("at step 7", 1.0),
        "failed": ("ZeroDivisionError: no such luck", 0.3),
        "interrupted": ("step 40 of 100, its process has died", 0.4),
        "pending": ("", 0.0),
        "running": ("step 60 of 100", 0.6),
    }


def test_asking_leaves_a_running_trial_its_lock(study, tmp_path) -> None:
    with (study("running") / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert states(tmp_path).keys() == states(tmp_path).keys() == {"running"}
    assert states(tmp_path).keys() == {"interrupted"}


def test_time_to_go_is_the_work_left_at_the_pace_of_what_is_done(study, tmp_path) -> None:
    study("done", seconds=10.0)
    study("done", seconds=30.0)
    study(None)
    study("running", steps=75)
    assert seconds_left(read_standings("s", tmp_path)) is None, "nothing runs"
    with (tmp_path / f"{3:016x}" / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert seconds_left(read_standings("s", tmp_path)) == pytest.approx(20 * (1 + 0.25))


def test_trials_are_named_by_what_varies(study, tmp_path, capsys) -> None:
    study("failed", seed=3, error="KeyError: 'x'")
    study("done", seed=4)
    main(["status", "s", "--runs-dir", str(tmp_path)])
    shown = capsys.readouterr().out
    assert "study s: 2 trials, 1 done, 1 failed" in shown
    assert "seed=3" in shown
    assert "connection=" not in shown, "all trials share it"
    assert "KeyError: 'x'" in shown


def test_of_very_many_trials_the_first_are_shown(capsys) -> None:
    standings = [
        Standing(f"{seed:016x}", "failed", 0.0, "no luck", Started({"seed": seed}, 1, 1)) for seed in range(5000)
    ]
    Console(width=100).print(render("s", standings))
    shown = capsys.readouterr().out
    assert "5000 trials, 5000 failed" in shown
    assert "seed=199 " in shown
    assert "seed=200 " not in shown
    assert "and 4800 more trials" in shown


def test_watching_ends_when_nothing_runs(study, tmp_path, capsys) -> None:
    study("done")
    main(["status", "s", "--watch", "--runs-dir", str(tmp_path)])
    assert "1 done" in capsys.readouterr().out


def test_an_unknown_study_is_explained(study, tmp_path) -> None:
    study("done")
    with pytest.raises(SkiplabError, match=r"no study 'other'.*valid: s"):
        read_standings("other", tmp_path)


def test_a_real_study(run, tmp_path) -> None:
    run(tmp_path, "run.study=mine")
    (standing,) = read_standings("mine", tmp_path)
    assert (standing.state, standing.fraction) == ("done", 1.0)
