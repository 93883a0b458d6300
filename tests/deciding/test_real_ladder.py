"""Real trials of a study from the command line, without a preset: killed, repeated, and trained once each."""

import json
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from command_line import run_command
from forked_process import forked_command
from tiny_trials import TINY

pytestmark = pytest.mark.usefixtures("undrawn")

CLAIMS = """\
factor: connection
control: rezero
treatment: identity
looks: [3, 5]
claims:
  - {name: open, text: t, metric: skill_train, contrast: difference, direction: higher, smallest_effect: 0.03}
  - name: decided
    text: t
    treatment: scaled_half
    metric: skill_train
    contrast: difference
    direction: higher
    smallest_effect: 0.5
"""


def done(runs: Path) -> dict[tuple[str, int], str]:
    """When each finished trial was started, by its arm and seed."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in runs.glob("*/record.json")]
    return {
        (each["choices"]["connection"], each["factors"]["seed"]): each["provenance"]["started"]
        for each in found
        if each["status"] == "done"
    }


def test_a_killed_ladder_goes_on_where_it_was(tmp_path: Path) -> None:
    runs, claims = tmp_path / "runs", tmp_path / "claims.yaml"
    claims.write_text(CLAIMS, encoding="utf-8")
    own = [f"run.runs_dir={runs}", "hydra/launcher=basic"]
    swept = ["connection=identity,rezero,scaled_half", "seed=0,1,2", "run.study=mine", f"run.claims={claims}"]
    trained = run_command(["train", "-m", *TINY, *own, *swept])
    assert trained.code == 0, trained.text
    first = done(runs)
    assert len(first) == 9

    killed = forked_command(["decide", "mine", *own])
    until = time.monotonic() + 100
    while len(done(runs)) == len(first) and killed.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    killed.kill()
    printed, errors = killed.communicate(10)
    assert killed.returncode == -signal.SIGKILL, printed + errors
    before = done(runs)
    assert len(first) < len(before) < 13

    ended = run_command(["decide", "mine", *own])
    assert ended.code == 0, ended.text
    after = done(runs)
    assert {arm: sorted(seed for other, seed in after if other == arm) for arm in ("identity", "rezero")} == {
        "identity": [0, 1, 2, 3, 4],
        "rezero": [0, 1, 2, 3, 4],
    }
    assert Counter(arm for arm, _ in after) == {"identity": 5, "rezero": 5, "scaled_half": 3}
    assert {trial: after[trial] for trial in before} == before  # none of them was trained again
    assert "3 combinations of arm and cell, as the records of study mine have them" in ended.text
    assert f"look 2 of 2, at 5 seeds: {13 - len(before)} trial" in ended.text
    assert "2 of 2 tests decided by 13 trials; 5 seeds of everything would have taken 15" in ended.text


def test_a_study_that_its_records_do_not_give_again(tmp_path: Path) -> None:
    """An override that would change the trials, and a record of other code."""
    runs, claims = tmp_path / "runs", tmp_path / "claims.yaml"
    claims.write_text(CLAIMS, encoding="utf-8")
    own = [f"run.runs_dir={runs}", "run.study=mine", f"run.claims={claims}"]
    trained = run_command(["train", *TINY, *own])
    assert trained.code == 0, trained.text
    changed = run_command(["decide", "mine", f"run.runs_dir={runs}", "width=16"])
    assert changed.code == 1
    assert changed.text.startswith(
        "skiplab: width=16 would change the trials of study 'mine', which its records define"
    )
    (config,) = runs.glob("*/config.yaml")
    config.write_text(config.read_text(encoding="utf-8").replace("width: 8", "width: 16"), encoding="utf-8")
    other = run_command(["decide", "mine", f"run.runs_dir={runs}"])
    assert other.code == 1
    assert "can't be composed again from their records" in other.text
    assert "give the preset that sweeps them" in other.text
