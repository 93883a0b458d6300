"""A full disk, a folder that can't be written, a clock set back: told in one message, and nothing is damaged."""

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forked_process import forked_command
from skiplab.cli import main
from tiny_trials import TINY

GRID = (*TINY, "connection=plain,identity", "seed=0,1,2", "trainer.max_steps=8")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1400 KiB, on which about three of the grid's six trials fit."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or mount(folder, "size=1400k").returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def mount(folder: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], capture_output=True)


def sweep(runs_dir: Path, launcher: str = "basic") -> tuple[int, str]:
    """Its exit status and what it printed, from a process of its own."""
    words = ["train", "-m", *GRID, f"hydra/launcher={launcher}", f"run.runs_dir={runs_dir}"]
    ended = forked_command(words)
    output, errors = ended.communicate()
    return ended.returncode, output + errors


def finished(runs_dir: Path) -> dict[str, str]:
    """A digest of every file of every finished record."""
    done = [path.parent for path in runs_dir.glob("*/record.json") if json.loads(path.read_text())["status"] == "done"]
    files = [path for folder in done for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "lock"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_a_full_disk_is_told_and_the_sweep_goes_on_when_there_is_room(small_disk, tmp_path) -> None:
    runs_dir = small_disk / "runs"
    status, said = sweep(runs_dir, "skiplab_cores")
    assert status == 1
    assert f"can't write to run.runs_dir={runs_dir}: No space left on device; free space" in said
    assert "Traceback" not in said
    before = finished(runs_dir)
    statuses = [json.loads(path.read_text())["status"] for path in runs_dir.glob("*/record.json")]
    assert set(statuses) <= {"done", "running"}, "a full disk is no failure of the trial"
    assert 0 < statuses.count("done") < 6
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    status, said = sweep(runs_dir)
    assert status == 0, said
    assert {path: digest for path, digest in finished(runs_dir).items() if path in before} == before
    undisturbed = tmp_path / "undisturbed"
    assert sweep(undisturbed)[0] == 0
    weights = {path.parent.name: path.read_bytes() for path in undisturbed.glob("*/weights.safetensors")}
    assert {path.parent.name: path.read_bytes() for path in runs_dir.glob("*/weights.safetensors")} == weights
    assert len(weights) == 6


def test_a_read_only_folder_is_told_and_stays_as_it_is(small_disk, capsys) -> None:
    main(["train", *TINY, "connection=plain", "seed=0", "trainer.max_steps=8", f"run.runs_dir={small_disk / 'runs'}"])
    before = finished(small_disk / "runs")
    assert before
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(SystemExit) as ended:
        main(["train", "-m", "hydra/launcher=basic", *GRID, f"run.runs_dir={small_disk / 'runs'}"])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert "can't write to run.runs_dir=" in said.err
    assert "Read-only file system" in said.err
    assert finished(small_disk / "runs") == before


def test_a_clock_that_is_set_back_changes_no_result(tmp_path, run, monkeypatch) -> None:
    from skiplab.training import atomic_checkpoint

    unbroken = run(tmp_path / "unbroken", "trainer.max_steps=12")
    write, now = atomic_checkpoint.write_atomically, time.time
    monkeypatch.setattr(time, "time", lambda: now() - 86400 * (now() - started > 0.5))
    started = now()

    def backwards(path: Path, content: bytes) -> None:
        """Each checkpoint seems a day older than the one before; the last one can't be written."""
        if path.name.startswith("step=12"):
            raise RuntimeError("killed")
        write(path, content)
        seconds = now() - 86400 * int(path.stem.removeprefix("step="))
        os.utime(path, (seconds, seconds))

    monkeypatch.setattr(atomic_checkpoint, "write_atomically", backwards)
    monkeypatch.setattr("pytorch_lightning.callbacks.ModelCheckpoint._remove_checkpoint", lambda *arguments: None)
    with pytest.raises(Exception, match="killed"):
        run(tmp_path / "broken", "trainer.max_steps=12")
    (record,) = tmp_path.glob("broken/*/record.json")
    assert len(list(record.parent.glob("checkpoints/*.ckpt"))) == 5
    monkeypatch.undo()
    again = run(tmp_path / "broken", "trainer.max_steps=12")
    assert again.outcome.action == "resumed"
    assert again.record.weights.read_bytes() == unbroken.record.weights.read_bytes()
    assert again.record.read()["provenance"]["wall_seconds"] > 0
    history = (again.record.folder / "history.csv").read_text().splitlines()
    twice = {row.split(",")[0] for row in history if history.count(row) == 2}
    assert twice == {"10", "11"}, "it went on behind step 10, not behind the newest checkpoint by date"
