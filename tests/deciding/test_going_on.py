"""A ladder goes on from published trials: it trains none of them again, and says what it would have said of all."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command_line import Ended, run_command
from planted_ladder import CLAIMS, GRID, PRESET, Planted, Trained, write_tuning
from skiplab import reproduce
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.analysis.claims.verdict_files import verdicts_table
from skiplab.analysis.claims.verdicts import judge
from skiplab.analysis.study.study import read_study
from skiplab.reproduce import Experiment
from tiny_trials import TINY

pytestmark = pytest.mark.usefixtures("undrawn")

FIRST, ALL = [201, 202, 203], list(range(201, 211))
STUDY, NAME, PROFILE = "residual_in_diffusion_quick", "residual_in_diffusion", "quick"
EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
OWN = (*(word for word in TINY if not word.startswith(("evaluator", "depth"))), *GRID, "hydra/launcher=basic")


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """An experiment of the test's own, whose arms have tuned settings."""
    found = Experiment(NAME, tmp_path / NAME, {PROFILE: [PRESET]})
    (found.folder / PROFILE).mkdir(parents=True)
    write_tuning(found.folder / PROFILE / "tuned.yaml", seeds=(9001,))
    (found.folder / "claims.yaml").write_text(CLAIMS, encoding="utf-8")
    monkeypatch.setattr(Experiment, "claims", lambda own, profile: own.folder / "claims.yaml")
    monkeypatch.setattr(reproduce, "experiments", lambda: {NAME: found})
    return found


def climb(experiment: Experiment, runs: Path, *words: str) -> Ended:
    claims = f"run.claims={experiment.folder / 'claims.yaml'}"
    return run_command(["reproduce", NAME, "--decide", *OWN, claims, f"run.runs_dir={runs}", *words])


def apart_without_long_skips(trial: Trained, noise: float) -> float:
    """The arms are clearly apart in one cell, and hardly in the other."""
    effect, spread = (0.3, 0.001) if trial.long_skip == "none" else (0.06, 0.028)
    return 0.5 + (effect + spread * noise if trial.arm == "identity" else 0.0)


@pytest.fixture
def publish(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], dict[str, Any]]:
    """Publishes the tables of a study as experiments/publish.py does, and returns result.json."""
    monkeypatch.syspath_prepend(str(EXPERIMENTS))
    from publish import write_result

    def published(runs: Path) -> dict[str, Any]:
        study, claims = read_study(STUDY, runs), read_claims(experiment.claims(PROFILE))
        write_result(experiment, PROFILE, study, judge(study, claims), study.table("skill_train"))
        return json.loads((experiment.folder / PROFILE / "result.json").read_text(encoding="utf-8"))

    return published


@pytest.fixture
def first_look(planted: Planted, experiment: Experiment, publish: Callable, tmp_path: Path) -> dict[str, Any]:
    """The first look is trained and published, and its records are gone."""
    planted.skill = apart_without_long_skips
    ended = climb(experiment, tmp_path / "first", "--max-seeds", "3")
    assert ended.code == 0, ended.text
    result = publish(tmp_path / "first")
    assert result["trials"] == len(planted.trained) == 12
    planted.trained.clear()
    return result


def test_it_trains_what_the_next_look_needs_and_judges_all(
    planted: Planted, experiment: Experiment, first_look: dict[str, Any], publish: Callable, tmp_path: Path
) -> None:
    runs, rows = tmp_path / "runs", (experiment.folder / PROFILE / "trials.csv").read_text().splitlines()
    ended = climb(experiment, runs, "--continue")
    assert ended.code == 0, ended.text
    for arm in ("plain", "identity"):
        assert planted.seeds(arm=arm, long_skip="none") == []
        assert planted.seeds(arm=arm, long_skip="concat") == ALL[3:]
    lines = ended.text.splitlines()
    (line,) = (line for line in lines if line.startswith("goes on from: "))
    assert line.startswith(f"goes on from: 12 trials published on {first_look['date']} (seeds 201 to 203; ")
    assert "after look 1 of 3, at 3 seeds: 1 of 2 tests decided, 1 going on" in lines
    assert "to come: at most 14 trials, about 14 min; likely 14 trials, about 14 min" in lines
    assert "next: look 2 of 3, at 5 seeds: 4 trials, about 4 min, for 2 combinations of arm and cell" in lines
    assert (
        "2 of 2 tests decided by 26 trials, 12 of them published and 14 trained here; 10 seeds of everything would "
        "have taken 40"
    ) in lines
    assert "tuned per arm" in ended.text

    claims = read_claims(experiment.claims(PROFILE))
    climb(experiment, tmp_path / "whole")
    whole, parts = read_study(STUDY, tmp_path / "whole"), read_study(STUDY, runs)
    assert parts.factors == whole.factors
    assert parts.constants == whole.constants
    assert verdicts_table(judge(parts, claims)).equals(verdicts_table(judge(whole, claims)))

    result = publish(runs)
    assert (experiment.folder / PROFILE / "trials.csv").read_text().splitlines()[: len(rows)] == rows
    assert (result["trials"], result["seeds"], result["seconds"]) == (26, 10, 26 * planted.seconds)
    (before,) = result["went_on_from"]
    assert {name: before[name] for name in ("date", "trials", "seconds", "hardware", "versions")} == {
        name: first_look[name] for name in ("date", "trials", "seconds", "hardware", "versions")
    }


def test_a_published_look_whose_records_are_still_here_is_no_part_that_was_gone_on_from(
    experiment: Experiment, first_look: dict[str, Any], publish: Callable, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    for most in ("5", "10"):
        climb(experiment, runs, "--continue", "--max-seeds", most)
        result = publish(runs)
        assert [part["trials"] for part in result["went_on_from"]] == [12]


def test_commands_read_published_and_own_trials_as_one(
    experiment: Experiment, first_look: dict[str, Any], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    climb(experiment, runs, "--continue", "--max-seeds", "5")
    table = run_command(["table", STUDY, "--runs-dir", str(runs)])
    assert table.code == 0, table.text
    rows = csv.DictReader((runs / "studies" / STUDY / "table.csv").read_text(encoding="utf-8").splitlines())
    counted = {(row["long_skip"], row["n"]) for row in rows}
    assert counted == {("none", "3"), ("concat", "5")}
    reported = run_command(["report", STUDY, "--runs-dir", str(runs)])
    assert "tuned per arm, 1 rates, looks 1 to 2 of 3, at 3 to 5 seeds, next at 10" in reported.text
    both = run_command(["table", f"{STUDY},{STUDY}", "--runs-dir", str(runs)])
    assert "the published trials that it goes on from count only where it is read alone" in both.text
    assert len(read_study(STUDY, runs).trials) == 16
    shutil.rmtree(runs / "studies" / STUDY / "published")
    assert len(read_study(STUDY, runs).trials) == 4


def test_a_test_that_was_corrected_after_the_published_trials_stays_so(
    experiment: Experiment, first_look: dict[str, Any], tmp_path: Path
) -> None:
    path, caveat = experiment.folder / PROFILE / "verdicts.csv", "its test was corrected on 2026-01-01, after trials"
    claims, name = experiment.claims(PROFILE), "{name: better,"
    claims.write_text(CLAIMS.replace(name, f"{name} corrected: 2026-01-01,"), encoding="utf-8")
    result = experiment.folder / PROFILE / "result.json"
    digest = read_claims(claims).sha256
    result.write_text(json.dumps(json.loads(result.read_text()) | {"claims_sha256": digest}), encoding="utf-8")
    for expected in (False, True):
        ended = climb(experiment, tmp_path / str(expected), "--continue", "--max-seeds", "5")
        assert (caveat in ended.text) == expected, ended.text
        path.write_text(path.read_text().replace("tuned per arm", f"{caveat}; tuned per arm"), encoding="utf-8")


def test_it_goes_on_without_being_told_again_and_a_record_takes_the_place_of_a_row(
    planted: Planted, experiment: Experiment, first_look: dict[str, Any], tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    dry = climb(experiment, runs, "--continue", "--dry-run")
    assert "next: look 2 of 3, at 5 seeds: 4 trials" in dry.text
    assert planted.trained == []
    assert read_study(STUDY, runs).tuned is not None
    tuned = f"hydra.sweeper.tuned={experiment.folder / PROFILE / 'tuned.yaml'}"
    again = ["long_skip=concat", "connection=plain", "seed=201"]
    run_command(["train", "-m", f"experiment={PRESET}", *OWN, tuned, f"run.runs_dir={runs}", *again])
    assert planted.seeds() == [201]
    ended = climb(experiment, runs)
    assert "26 trials, 11 of them published and 15 trained here" in ended.text
    assert planted.seeds(arm="plain", long_skip="concat") == ALL[:1] + ALL[3:]
    assert len(read_study(STUDY, runs).trials) == 26


@pytest.mark.parametrize(
    ("change", "words", "says"),
    [
        ("", ["width=16"], "12 of the 12 published trials of residual_in_diffusion quick, such as "),
        ("claims", [], "residual_in_diffusion quick was published by other claims than "),
        ("result", [], "residual_in_diffusion quick was never published, so there is nothing to go on from"),
    ],
)
def test_what_it_does_not_go_on_from(
    change: str, words: list[str], says: str, planted: Planted, experiment: Experiment, first_look: dict, tmp_path: Path
) -> None:
    if change == "claims":
        (experiment.folder / "claims.yaml").write_text(CLAIMS.replace("0.02", "0.03"), encoding="utf-8")
    if change == "result":
        (experiment.folder / PROFILE / "result.json").unlink()
    ended = climb(experiment, tmp_path / "runs", "--continue", *words)
    assert (ended.code, ended.text.count("\n")) == (1, 1), ended.text
    assert says in ended.text
    assert "leave" in ended.text
    assert "--continue" in ended.text
    assert planted.trained == []
    assert not (tmp_path / "runs").exists()


def test_published_tables_that_cannot_be_read(
    experiment: Experiment, first_look: dict[str, Any], tmp_path: Path
) -> None:
    climb(experiment, tmp_path / "runs", "--continue", "--dry-run")
    (tmp_path / "runs" / "studies" / STUDY / "published" / "settings.json").write_text("{")
    ended = run_command(["table", STUDY, "--runs-dir", str(tmp_path / "runs")])
    assert ended.code == 1
    assert "published can't be read" in ended.text
    assert "remove the folder" in ended.text


def test_it_needs_looks() -> None:
    ended = run_command(["reproduce", "every_connection", "--continue"])
    assert ended.text == "skiplab: --continue goes on to the next look; give --decide with it\n"
