"""The claims that trials bring to their study, by run.claims; on real trials."""

import re
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


ARMS = ["-m", *TINY, "hydra/launcher=basic", "connection=plain,identity"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (("factor: connection", "factor: connexion"), r"the factor 'connexion', .* did you mean connection\?"),
        (("factor: connection", "factor: lr"), r"the factor 'lr', .* did you mean optimizer.lr\?"),
        (("difference,", "slope, over: dept,"), r"the factor 'dept', .* did you mean depth\?"),
        (("difference,", "slope, over: seed,"), r"the factor 'seed', and these trials have no axis or setting"),
        (("difference,", "difference, cells: {long_skpi: [none]},"), r"'long_skpi', .* did you mean long_skip\?"),
        (("factor: connection", "factor: connection.alpha_mn"), r"the factor 'connection.alpha_mn'"),
        (("control: plain", "control: plane"), r"unknown arm of connection 'plane'; valid: .*did you mean 'plain'\?"),
        (("difference,", "difference, treatment: dense_net,"), r"unknown arm of connection 'dense_net'"),
        (("difference,", "difference, cells: {long_skip: [none, cat]},"), r"unknown arm of long_skip 'cat'"),
    ],
)
def test_factors_and_arms_that_there_are_none_of_are_refused_before_training(tmp_path, capsys, wrong, words) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CLAIMS.replace(*wrong))
    with pytest.raises(SystemExit):
        cli.train_main([*ARMS, f"run.runs_dir={tmp_path}/runs", f"run.claims={path}"])
    assert re.search(f"skiplab: {path}: .*{words}", capsys.readouterr().err)
    assert not list((tmp_path / "runs").glob("*/record.json"))
    assert not (tmp_path / "runs" / "studies").exists()


def test_claims_may_name_what_other_trials_of_the_study_vary(tmp_path, capsys) -> None:
    """Arms of options that come later, of an option of one's own, and settings that only another option has."""
    (tmp_path / "conf" / "connection").mkdir(parents=True)
    (tmp_path / "conf" / "connection" / "mine.yaml").write_text("defaults: [plain]\n")
    entry = "  - {name: %s, text: t, metric: skill_train, contrast: %s, direction: higher, %s}\n"
    path = tmp_path / "c.yaml"
    path.write_text(
        CLAIMS
        + entry % ("later", "difference", "treatment: dense, cells: {connection.stream_factor: [0.7]}")
        + entry % ("mine", "difference", "treatment: mine")
        + entry % ("below", "difference", "treatment: 'scaled, stream_factor 0.5'")
        + entry % ("rate", "slope", "over: optimizer.lr, cells: {depth: [3]}")
    )
    words = [f"run.runs_dir={tmp_path}/runs", f"run.claims={path}"]
    cli.train_main([*ARMS, *words, f"--config-dir={tmp_path}/conf", "trainer.max_steps=2"])
    assert len(list((tmp_path / "runs").glob("*/record.json"))) == 2
