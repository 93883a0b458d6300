"""What `skiplab decide` refuses, in one sentence and before anything is trained."""

from pathlib import Path

import pytest

from command_line import run_command
from planted_ladder import CLAIMS, PRESET, decide, write_tuning
from skiplab.deciding.limits import Limits, parse_budget
from skiplab.errors import SkiplabError

WITHOUT_LOOKS = CLAIMS.replace("looks: [3, 5, 10]\n", "")


@pytest.mark.parametrize(
    ("words", "claims", "named"),
    [
        (["--budget", "2 parsecs"], CLAIMS, ["--budget 2 parsecs is no time", "90min"]),
        (["--max-seeds", "2"], CLAIMS, ["--max-seeds 2 leaves no look", "at 3 seeds", "valid: at least 3"]),
        ([], WITHOUT_LOOKS, ["claims.yaml declares no looks", "before anything is trained", "looks: [5, 10, 20]"]),
        (["run.claims=null"], None, ["has no claims that could be decided", "--claims FILE"]),
        (["run.rerun=true"], CLAIMS, ["run.rerun=true would train everything again"]),
        ([], CLAIMS.replace("skill_train", "skil_train"), ["'skil_train', which nothing measures", "skill_train"]),
        ([], CLAIMS.replace("identity", "identiti"), ["unknown arm of connection 'identiti'"]),
        (["conection=plain"], CLAIMS, ["conection", "connection"]),
        (["hydra.sweeper.tuned=TUNED"], CLAIMS, ["can't read", "TUNED"]),
    ],
)
def test_what_cannot_be_decided(words: list[str], claims: str | None, named: list[str], tmp_path: Path) -> None:
    ended = decide(tmp_path, *words, claims=claims)
    assert ended.code == 1
    assert ended.text.startswith("skiplab: ")
    assert ended.text.count("\n") == 1, ended.text
    for part in named:
        assert part in ended.text
    assert not (tmp_path / "runs").exists()


def test_a_name_that_is_neither_preset_nor_study(tmp_path: Path) -> None:
    ended = run_command(["decide", "nothing", f"run.runs_dir={tmp_path}"])
    assert ended.code == 1
    assert f"unknown preset, or study in {tmp_path}, 'nothing'; valid: " in ended.text
    assert PRESET in ended.text


def test_limits_without_looks(tmp_path: Path) -> None:
    ended = run_command(["reproduce", "points", "--budget", "1h"])
    assert ended.text == "skiplab: --budget, --max-seeds and --dry-run are limits of looks; give --decide with them\n"


def test_seeds_that_were_used_for_tuning(tmp_path: Path) -> None:
    tuned = write_tuning(tmp_path / "tuned.yaml", seeds=(208, 209))
    ended = decide(tmp_path, "long_skip=none", f"hydra.sweeper.tuned={tuned}")
    assert ended.code == 1, ended.text
    assert "the ladder takes the seeds 201 to 210, and 208, 209 was used to tune" in ended.text
    assert "--max-seeds" in ended.text
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90min", 5400), ("30m", 1800), ("2h", 7200), ("1.5d", 129600), ("30 s", 30), (" 1 h ", 3600)]
)
def test_budgets(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "-1h", "0h", "2H", "1e3s", "2 hours", "nan h", "9" * 400 + "d"])
def test_no_budgets(text: str) -> None:
    with pytest.raises(SkiplabError, match="is no time; valid: a number above 0 with s, min, h or d"):
        parse_budget(text)


def test_affordable_looks() -> None:
    assert Limits(max_seeds=None).affordable([5, 10, 20]) == (5, 10, 20)
    assert Limits(max_seeds=19).affordable([5, 10, 20]) == (5, 10)
