"""The command line's own words."""

import pytest

from skiplab import cli
from skiplab.errors import SkiplabError


@pytest.mark.parametrize(
    "arguments", [["--profile", "quick", "seed=1", "depth=4"], ["seed=1", "--profile", "quick", "depth=4"]]
)
def test_overrides_stand_before_or_behind_options(arguments: list[str], monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(cli, "reproduce", lambda *given: seen.append(given))
    cli.main(["reproduce", "every_connection", *arguments])
    assert seen == [("every_connection", "quick", ["seed=1", "depth=4"])]


@pytest.mark.parametrize("arguments", [["table", "mine", "seed=1"], ["reproduce", "every_connection", "--fast"]])
def test_words_that_mean_nothing_are_refused(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert f"unrecognized arguments: {arguments[-1]}" in capsys.readouterr().err


def test_reproduce_runs_every_preset_of_the_study_then_judges(monkeypatch) -> None:
    trained, reported = [], []
    monkeypatch.setattr(cli, "train", trained.append)
    monkeypatch.setattr(cli, "report", lambda *given: reported.append(given))
    cli.reproduce("six_claims", "digits", ["run.runs_dir=/data"])
    swept = [["-m", f"experiment=six_claims_digits{rest}"] for rest in ("", "_frozen")]
    assert trained == [[*words, "run.runs_dir=/data"] for words in swept]
    ((study, runs_dir, claims),) = reported
    assert (study, runs_dir) == ("six_claims_digits", "/data")
    assert claims.endswith("experiments/six_claims/claims.yaml")


def test_a_second_sweep_of_a_study_is_no_profile() -> None:
    with pytest.raises(SkiplabError, match=r"unknown profile 'digits_frozen' of six_claims; valid: digits, patches$"):
        cli.reproduce("six_claims", "digits_frozen", [])
