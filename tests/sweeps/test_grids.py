"""Several grids in one sweep: their trials together, each once, checked as one."""

import pytest

from skiplab.cli import main
from tiny_trials import TINY

SWEEP = ["train", "-m", *TINY, "connection=plain,identity", "--dry-run"]


def shown(capsys, grids: str, *words: str) -> str:
    main([*SWEEP, f"hydra.sweeper.grids={grids}", *words])
    return " ".join(capsys.readouterr().out.split())


def refused(capsys, grids: str) -> str:
    with pytest.raises(SystemExit):
        main([*SWEEP, f"hydra.sweeper.grids={grids}"])
    return capsys.readouterr().err


def test_each_grid_replaces_and_adds_overrides(tmp_path, capsys) -> None:
    grids = "[['connection=plain','init=default,he'],['connection=identity','depth=4,8,16']]"
    found = shown(capsys, grids, f"run.runs_dir={tmp_path}")
    assert "5 trials: 5 left" in found
    assert "connection=plain init=he" in found
    assert "depth=16 connection=identity" in found


def test_a_trial_of_two_grids_is_there_once(tmp_path, capsys) -> None:
    assert "3 trials: 3 left" in shown(capsys, "[['seed=0'],['seed=0','connection=plain,rezero']]")


@pytest.mark.parametrize("grids", ["3", "[a]", "[[3]]", "abc"])
def test_what_is_no_list_of_grids_is_refused(capsys, grids) -> None:
    error = refused(capsys, grids)
    assert "hydra.sweeper.grids=" in error
    assert "is invalid; valid: a list of overrides for each grid" in error


def test_trials_of_two_grids_that_only_differ_in_how_they_are_observed_are_refused(capsys) -> None:
    error = refused(capsys, "[['num_samples=8'],['num_samples=16','seed=0']]")
    assert "num_samples=8 and num_samples=16 are the same trial" in error
