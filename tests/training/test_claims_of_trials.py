"""The claims that trials bring to their study, by run.claims; on real trials."""

import re
from pathlib import Path

import pytest

from skiplab import cli
from skiplab.analysis.claims.study_claims import LATE, study_claims
from skiplab.analysis.study.study import read_study
from skiplab.errors import SkiplabError
from skiplab.records.registrations import find_claims, registrations
from skiplab.records.timestamps import in_utc
from tiny_trials import TINY, run_tiny

CLAIMS = """\
factor: connection
control: plain
treatment: identity
claims:
  - {name: c, text: t, metric: skill_train, contrast: difference, direction: higher, smallest_effect: 0.02}
"""


def caveats(runs_dir: Path, study: str) -> tuple[str, ...]:
    return study_claims(read_study(study, runs_dir)).caveats


def test_a_sweep_registers_its_claims_before_the_first_trial(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(CLAIMS)
    words = ["-m", *TINY, "trainer.max_steps=2", "hydra/launcher=basic", "run.study=s"]
    cli.train_main([*words, "connection=plain,identity", "run.claims=mine.yaml"])
    (entry,) = registrations(tmp_path / "runs" / "studies" / "s")
    assert entry.source == str(tmp_path / "mine.yaml")
    assert study_claims(read_study("s", Path("runs"))).caveats == ()
    Path("mine.yaml").write_text(CLAIMS.replace("0.02", "0.03"))  # the same file, other claims
    cli.train_main([*words, "connection=plain,identity", "run.claims=mine.yaml"])
    assert len(registrations(tmp_path / "runs" / "studies" / "s")) == 2
    assert study_claims(read_study("s", Path("runs"))).caveats == (LATE,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"run.claims=.*c.yaml is no file; valid: the path of a YAML file of claims"),
        ("claims: [", "valid YAML"),
        (CLAIMS.replace("direction: higher", "direction: up"), "direction is 'up'; valid: higher, lower"),
        (CLAIMS.replace("skill_train", "skil_train"), "'skil_train', which nothing measures.*did you mean skill_train"),
    ],
)
def test_claims_that_can_not_be_judged_are_refused_before_anything_is_trained(tmp_path, capsys, text, words) -> None:
    path = tmp_path / "c.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit):
        cli.train_main([*TINY, f"run.runs_dir={tmp_path / 'runs'}", f"run.claims={path}"])
    assert re.search(words, capsys.readouterr().err)
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
    assert caveats(tmp_path / "runs", "b") == (LATE,)  # it was known before the claims


def test_trials_that_were_looked_at_count_though_a_new_one_brings_the_claims(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["-m", *TINY, "trainer.max_steps=2", "hydra/launcher=basic"]
    cli.train_main([*words, "connection=plain,identity", "run.study=a"])
    Path("late.yaml").write_text(CLAIMS)
    cli.train_main([*words, "connection=plain", "seed=99", "run.study=b", "run.claims=late.yaml"])
    assert caveats(Path("runs"), "b") == ()
    cli.train_main([*words, "connection=plain,identity", "run.study=b"])  # already done
    assert len(read_study("b", Path("runs")).trials) == 3
    assert caveats(Path("runs"), "b") == (LATE,)


def test_a_trial_that_is_trained_again_is_as_old_as_before(tmp_path: Path) -> None:
    path, runs_dir = tmp_path / "late.yaml", tmp_path / "runs"
    first = run_tiny(runs_dir, "run.study=s").record.read()["provenance"]
    path.write_text(CLAIMS)
    for _ in range(2):
        again = run_tiny(runs_dir, "run.study=s", f"run.claims={path}", "run.rerun=true")
        assert again.outcome.action == "trained"
        assert caveats(runs_dir, "s") == (LATE,)
    told = again.record.read()["provenance"]
    assert in_utc(told["first_started"]) == in_utc(first["started"]) < in_utc(told["started"])


def test_a_trial_that_begins_again_after_damage_is_as_old_as_before(tmp_path: Path) -> None:
    path, runs_dir = tmp_path / "late.yaml", tmp_path / "runs"
    record = run_tiny(runs_dir, "run.study=s").record
    record.update(status="interrupted")
    record.weights.write_bytes(b"")
    for checkpoint in record.checkpoints.iterdir():
        checkpoint.write_bytes(b"")
    path.write_text(CLAIMS)
    assert run_tiny(runs_dir, "run.study=s", f"run.claims={path}").outcome.action == "trained"
    assert caveats(runs_dir, "s") == (LATE,)


def test_claims_that_are_refused_replace_no_record(tmp_path: Path) -> None:
    record = run_tiny(tmp_path / "runs", "run.study=s").record
    kept = record.read()
    with pytest.raises(SkiplabError, match="is no file"):
        run_tiny(tmp_path / "runs", "run.study=s", "run.claims=none.yaml", "run.rerun=true")
    assert record.read() == kept
    assert not (tmp_path / "runs" / "replaced").exists()


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
