"""The claims that trials bring to their study, by run.claims; on real trials."""

from pathlib import Path

import pytest

from skiplab import cli
from skiplab.analysis.runs import read_study
from skiplab.analysis.study_claims import LATE, study_claims
from skiplab.errors import SkiplabError
from skiplab.registered import find_claims, registrations
from tiny_trials import TINY, run_tiny

CLAIMS = """\
factor: connection
control: plain
treatment: identity
claims:
  - {name: c, text: t, metric: skill_train, contrast: difference, direction: higher, smallest_effect: 0.02}
"""


def test_a_sweep_registers_its_claims_before_the_first_trial(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(CLAIMS)
    words = ["-m", *TINY, "trainer.max_steps=2", "hydra/launcher=basic", "run.study=s"]
    cli.train_main([*words, "connection=plain,identity", "run.claims=mine.yaml"])
    (entry,) = registrations(tmp_path / "runs" / "studies" / "s")
    assert (entry.source, entry.trials_started) == (str(tmp_path / "mine.yaml"), 0)
    assert study_claims(read_study("s", Path("runs"))).marks == ()
    Path("mine.yaml").write_text(CLAIMS.replace("0.02", "0.03"))  # the same file, other claims
    cli.train_main([*words, "connection=plain,identity", "run.claims=mine.yaml"])
    assert [each.trials_started for each in registrations(tmp_path / "runs" / "studies" / "s")] == [0, 2]
    assert study_claims(read_study("s", Path("runs"))).marks == (LATE,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"run.claims=.*c.yaml is no file; valid: the path of a YAML file of claims"),
        ("claims: [", "no valid YAML"),
        (CLAIMS.replace("direction: higher", "direction: up"), "direction is 'up'; valid: higher, lower"),
        (CLAIMS.replace("skill_train", "skil_train"), "'skil_train', which nothing measures.*did you mean skill_train"),
    ],
)
def test_claims_that_can_not_be_judged_are_refused_before_anything_is_trained(tmp_path, text, words) -> None:
    path = tmp_path / "c.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SkiplabError, match=words):
        run_tiny(tmp_path / "runs", f"run.claims={path}")
    assert not list((tmp_path / "runs").glob("*/record.json"))


def test_an_experiments_claims_are_found_from_any_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = "experiments/he2015_resnet/claims.yaml"
    assert find_claims(asked).is_file()
    (tmp_path / "experiments" / "he2015_resnet").mkdir(parents=True)
    (tmp_path / asked).write_text(CLAIMS)
    assert find_claims(asked) == tmp_path / asked


def test_claims_change_no_key(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CLAIMS)
    first = run_tiny(tmp_path / "runs", "run.study=a")
    again = run_tiny(tmp_path / "runs", "run.study=b", f"run.claims={path}")
    assert (again.outcome.key, again.outcome.action) == (first.outcome.key, "already done")
    assert registrations(tmp_path / "runs" / "studies" / "b")[0].trials_started == 1  # it was known before the claims
