"""The first steps: a project of one's own, a drafted claims file, and what they say where they can't."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import skiplab
from command_line import as_newcomer, run_command
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.cli.first_steps.draft import Drafted, draft
from skiplab.cli.first_steps.init import commands, project_files
from skiplab.metrics import Metric
from tiny_trials import TINY
from undrawn import leave_undrawn

SHORT = [*(word for word in TINY if not word.startswith(("depth", "evaluator", "logger"))), "hydra/launcher=basic"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that `skiplab init` wrote, whose first two commands have been run with the smallest trials."""
    folder = tmp_path_factory.mktemp("newcomer") / "mine"
    with pytest.MonkeyPatch.context() as patch:
        as_newcomer(patch, folder.parent)
        leave_undrawn(patch)
        ended = run_command(["init", "mine"])
        assert ended.code == 0, ended.text
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        train, report, _ = (shlex.split(line) for line in commands())
        assert train[:2] == ["PYTHONPATH=.", "skiplab"]
        ended = run_command([*train[2:], *SHORT])
        assert ended.code == 0, ended.text
        ended = run_command(report[1:])
        (folder / "said.txt").write_text(ended.text)
        assert ended.code == 0, ended.text
        yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "own"]:
        del sys.modules[name]


def test_the_commands_of_a_new_project_work(project: Path) -> None:
    written = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert {str(name) for name in project_files()} <= written
    study = skiplab.read_study("first", project / "runs")
    assert study.trials["status"].tolist() == ["done"] * 9
    assert set(study.trials["connection"]) == {"plain", "identity", "half_life"}
    said = (project / "said.txt").read_text()
    assert all(claim.text in " ".join(said.split()) for claim in read_claims(project / "claims.yaml").claims)
    assert "exploratory" not in said, "the claims were registered before the first trial"
    assert "report.html" in said


def test_the_third_command_takes_up_what_the_first_has_trained(project: Path) -> None:
    decide = shlex.split(commands()[2])
    ended = run_command([*decide[2:], *SHORT, "--dry-run"])
    assert ended.code == 0, ended.text
    assert "study first: 3 combinations of arm and cell" in ended.text
    assert "looks: at 3, 6, 12 seeds" in ended.text
    assert "not run" not in ended.text
    by_study = run_command(["decide", "second", "--config-dir", "conf", "run.study=second", *SHORT, "--dry-run"])
    assert "unknown preset, or study in runs, 'second'; valid: first" in by_study.text, "presets of one's own are read"


def test_a_drafted_file_is_valid_and_judged(project: Path) -> None:
    ended = run_command(["claims", "first", "--to", "drafted.yaml", "--metric", "skill_train", "--metric", "loss_val"])
    assert ended.code == 0, ended.text
    assert "written: drafted.yaml, 4 claims" in ended.text
    claims = read_claims(project / "drafted.yaml")
    assert {claim.name for claim in claims.claims} == {
        f"{arm}_over_plain_in_{metric}" for metric in ("skill_train", "loss_val") for arm in ("half_life", "identity")
    }
    text = (project / "drafted.yaml").read_text()
    assert "Trials of this study were started before" in text
    assert all(line.isspace() or "#" in line or ":" in line for line in text.splitlines() if line)
    copied = project / "copied"
    shutil.copytree(project / "runs", copied)
    judged = run_command(["report", "first", "--claims", "drafted.yaml", "--runs-dir", str(copied)])
    assert judged.code == 0, judged.text
    assert re.search("^All verdicts: .*exploratory", judged.text, re.MULTILINE)


def test_claims_of_a_preset_are_drafted_before_any_trial(project: Path, tmp_path: Path) -> None:
    to = tmp_path / "claims.yaml"
    ended = run_command(
        ["claims", "first", "--runs-dir", str(tmp_path), "--config-dir", "conf", "depth=4,8", "--to", str(to)]
    )
    assert ended.code == 0, ended.text
    parsed = yaml.safe_load(to.read_text())
    assert [claim["contrast"] for claim in parsed["claims"]] == [
        "difference",
        "difference",
        "interaction",
        "interaction",
    ]
    assert parsed["claims"][0]["cells"] == {"depth": [4, 8]}
    assert "Trials of this study were started before" not in to.read_text()
    trained = ["train", "--config-dir", "conf", "experiment=first", "connection=plain", "depth=4", "seed=0", *SHORT]
    checked = run_command([*trained, f"run.claims={to}", f"run.runs_dir={tmp_path / 'runs'}", "--dry-run"])
    assert checked.code == 0, checked.text


WRONG = {
    "init .": "skiplab: . isn't empty; valid: a folder that is new or empty",
    "init claims.yaml": "skiplab: claims.yaml is a file; valid: a folder that is new or empty",
    "claims first": "skiplab: claims.yaml is there; give the name of a new file by --to FILE",
    "claims frist --to new.yaml": "skiplab: unknown preset, or study in runs, 'frist'; valid: first, ",
    "claims first --to new.yaml --metric skill": "skiplab: unknown metric 'skill'; valid: ",
    "claims first --to new.yaml --metric gradient_first_to_last": "skiplab: the metric gradient_first_to_last has",
    "claims first --to new.yaml --control resnet": "skiplab: unknown control 'resnet'; valid: ",
    "claims first --to new.yaml --factor depth": "skiplab: depth has one arm in first, 8; valid for claims: two or",
}


@pytest.mark.parametrize("command", WRONG)
def test_what_cannot_be_written_is_said_in_a_sentence(command: str, project: Path) -> None:
    ended = run_command(command.split())
    assert ended.code == 1
    assert ended.text.startswith(WRONG[command])
    assert ended.text.count("\n") == 1
    assert not (project / "new.yaml").exists()


def test_odd_names_of_arms_and_levels_stay_what_they_are(tmp_path: Path) -> None:
    arms = ["null", "true", "8", "it's: #1", "scaled, keep 0.5", "Größe"]
    given = Drafted(
        name="study 'odd'\nname", factor="model.kind", arms=arms, control="null",
        cells={"data: set": ["no", 'a "b"', 0.001], "width": [8, 16]},
        metrics={"loss": Metric(label="loss: # of\nall", direction="lower", scale="log")}, asked=(), has_begun=True,
    )  # fmt: skip
    path = tmp_path / "claims.yaml"
    path.write_text(draft(given), encoding="utf-8")
    claims = read_claims(path).claims
    assert [claim.parts[0].contrast.treatment for claim in claims] == arms[1:] * 2
    assert {claim.parts[0].contrast.control for claim in claims} == {"null"}
    assert claims[0].cells == {"data: set": ("no", 'a "b"', "0.001"), "width": ("8", "16")}
    assert {claim.parts[0].contrast.over for claim in claims[len(arms) - 1 :]} == {"width"}
    assert not re.search(r"^\S*name", draft(given), re.MULTILINE)


def test_the_project_is_part_of_the_package() -> None:
    """Else an installed skiplab could not write it."""
    names = {os.fspath(name) for name in project_files()}
    assert names >= {"README.md", "claims.yaml", "own/half_life.py", "conf/experiment/first.yaml"}
    assert len(commands()) == 3
