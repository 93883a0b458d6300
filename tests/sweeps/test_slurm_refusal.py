"""A SLURM that takes no job, or isn't there: told in one sentence at once, and no trial counts as lost."""

import os
import sys
from pathlib import Path

import pytest

from skiplab.cli import main
from tiny_trials import TINY

UNREACHABLE = "sbatch: error: Unable to contact the controller\\nsbatch: fatal: no cluster"
TOO_MANY = "sbatch: error: Batch job submission failed: Invalid job array specification"


def refused(capsys, *overrides: str) -> tuple[str, str]:
    """What a sweep that can't be submitted printed, and what it ended with."""
    with pytest.raises(SystemExit) as ended:
        main(["train", "-m", "hydra/launcher=skiplab_slurm", *TINY, "connection=plain", *overrides])
    assert ended.value.code == 1
    captured = capsys.readouterr()
    return captured.out, captured.err


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, refusal: str) -> None:
    """A SLURM that refuses every job."""
    for name in ("sbatch", "srun"):
        (folder / name).write_text(f'#!{sys.executable}\nimport sys\nsys.exit("{refusal}")\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize("seeds", ["seed=0", "seed=0,1"], ids=["one job", "an array"])
def test_a_slurm_that_takes_no_job(seeds, tmp_path, capsys, monkeypatch) -> None:
    install(tmp_path, monkeypatch, UNREACHABLE)
    out, err = refused(capsys, seeds, f"run.runs_dir={tmp_path / 'runs'}")
    assert err.startswith("skiplab: SLURM refuses the jobs: Unable to contact the controller; ")
    assert len(err.splitlines()) == 1
    assert "worker" not in out
    assert not list(tmp_path.glob("runs/*/record.json"))


def test_more_jobs_than_the_cluster_lets_an_array_have(tmp_path, capsys, monkeypatch) -> None:
    install(tmp_path, monkeypatch, TOO_MANY)
    _, err = refused(capsys, "seed=range(3)", f"run.runs_dir={tmp_path / 'runs'}")
    assert err == (
        "skiplab: SLURM refuses so many jobs: Batch job submission failed: Invalid job array specification; "
        "set hydra.launcher.trials_per_job=2 or more\n"
    )


def test_a_machine_without_slurm(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    out, err = refused(capsys, f"run.runs_dir={tmp_path / 'runs'}")
    assert err.startswith("skiplab: hydra/launcher=skiplab_slurm needs SLURM, but sbatch and srun can't be found; ")
    assert "worker" not in out


@pytest.mark.parametrize(
    ("invalid", "reason"),
    [
        ("0", "=0 is invalid; valid: a whole number above 0"),
        ("-1", "=-1 is invalid; valid: a whole number above 0"),
        ("1.5", " is invalid: Value '1.5' of type 'float' could not be converted to Integer"),
        ("null", " is invalid: field 'hydra.launcher.trials_per_job' is not Optional"),
    ],
)
def test_a_number_of_trials_that_no_job_can_have(invalid, reason, tmp_path: Path, capsys) -> None:
    _, err = refused(capsys, f"hydra.launcher.trials_per_job={invalid}", f"run.runs_dir={tmp_path / 'runs'}")
    assert err == f"skiplab: hydra.launcher.trials_per_job{reason}\n"
    assert not list(tmp_path.glob("runs/*/record.json"))
