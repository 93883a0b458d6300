"""The command line's own words."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from skiplab import cli, reproduce
from skiplab.analysis.claims.claims_file import read_claims
from skiplab.cli import commands
from skiplab.cli.parser import make_parser
from skiplab.deciding import decide
from skiplab.deciding.limits import Limits
from skiplab.errors import SkiplabError


@pytest.mark.parametrize(
    "arguments", [["--profile", "quick", "seed=1", "depth=4"], ["seed=1", "--profile", "quick", "depth=4"]]
)
def test_overrides_stand_before_or_behind_options(arguments: list[str], monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(commands, "reproduce", lambda **given: seen.append(given))
    monkeypatch.setattr(cli, "make_parser", make_parser.__wrapped__)  # a new one, which takes up what was set
    cli.main(["reproduce", "every_connection", *arguments])
    expected = {"experiment": "every_connection", "show_list": False, "profile": "quick"}
    expected |= {"decide": False, "go_on": False, "budget": None, "max_seeds": None, "dry_run": False}
    assert seen == [expected | {"overrides": ["seed=1", "depth=4"]}]


@pytest.mark.parametrize("arguments", [["table", "mine", "seed=1"], ["reproduce", "every_connection", "--fast"]])
def test_words_that_mean_nothing_are_refused(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert f"unrecognized arguments: {arguments[-1]}" in capsys.readouterr().err


def test_reproduce_runs_every_preset_of_the_study_then_judges(monkeypatch) -> None:
    trained, reported = [], []
    monkeypatch.setattr(reproduce, "report_command", lambda *given: reported.append(given) or [])
    reproduce.reproduce("six_claims", "tuned_patches", ["run.runs_dir=/data"], trained.append)
    assert [words[:2] for words in trained] == [
        ["-m", f"experiment=six_claims/tuned_patches{e}"] for e in ("", "_frozen")
    ]
    assert all("run.runs_dir=/data" in words for words in trained)
    ((study, runs_dir, claims, _),) = reported
    assert (study, runs_dir) == ("six_claims_tuned_patches", Path("/data"))
    assert claims.parts[-3:] == ("experiments", "six_claims", "claims.yaml")


def test_reproduce_decides_with_every_preset_and_the_published_settings(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(decide, "decide_presets", lambda *given: asked.append(given) or [])
    limits = Limits(budget=60.0)
    reproduce.reproduce("six_claims", "tuned_patches", ["run.runs_dir=/data"], list.append, limits=limits)
    ((presets, words, given, *_),) = asked
    assert presets == ["six_claims/tuned_patches", "six_claims/tuned_patches_frozen"]
    assert "run.runs_dir=/data" in words
    assert given == limits
    assert "hydra.sweeper.tuned" in [word.split("=")[0] for word in words]


def test_a_second_sweep_of_a_study_is_no_profile() -> None:
    with pytest.raises(
        SkiplabError,
        match=r"unknown profile of six_claims 'tuned_digits_frozen'; valid: tuned_digits, tuned_patches; did ",
    ):
        reproduce.reproduce("six_claims", "tuned_digits_frozen", [], list.append)


def test_reproduce_lists_every_experiment_with_its_last_verdicts(capsys) -> None:
    cli.main(["reproduce", "--list"])
    text = capsys.readouterr().out
    for experiment in reproduce.experiments().values():
        assert experiment.name in text
        for profile in experiment.profiles:
            result = experiment.result(profile)
            assert f"{profile}: {experiment.description(profile)}"[:60] in text
            assert experiment.description(profile)
            assert "not run" in text if result is None else result["date"] in text


def test_verdicts_that_are_not_as_published_stand_beside_what_was() -> None:
    verdicts = [
        SimpleNamespace(
            claim=SimpleNamespace(name=name),
            conclusion=conclusion,
            cells=[SimpleNamespace(parts=[SimpleNamespace(interval=SimpleNamespace(n=n)) for n in (2, 3)])],
        )
        for name, conclusion in (("a", "supported"), ("b", "contradicted"), ("c", "inconclusive"), ("d", "mixed"))
    ]
    published = {
        "a": reproduce.PublishedConclusion("supported", 10),
        "b": reproduce.PublishedConclusion("supported", 3),
        "c": reproduce.PublishedConclusion("contradicted", 10),
    }

    def lines(names: str) -> list[str]:
        of = [verdict for verdict in verdicts if verdict.claim.name in names]
        text = reproduce._compared_with_published(of, published, "2026-01-02", "skiplab reproduce x --decide")
        return str(text).splitlines()

    assert lines("abd") == [
        "1 of 3 verdicts as published on 2026-01-02",
        "  b: contradicted at 3 seeds; published: supported at 3",
        "  d: not published",
    ]
    assert lines("c") == [
        "0 of 1 verdicts as published on 2026-01-02",
        "  c: inconclusive at 3 seeds; published: contradicted at 10",
        "to train as many seeds: skiplab reproduce x --decide",
    ]


def test_published_conclusions_are_those_of_the_published_table() -> None:
    experiment = reproduce.experiments()["balduzzi2017_shattered"]
    found = experiment.conclusions("quick")
    assert list(found) == list(experiment.result("quick")["verdicts"])
    assert found["plain_halves"].conclusion == "supported"
    assert max(each.seeds for each in found.values()) == experiment.result("quick")["seeds"]


def test_a_published_result_says_what_its_readme_says() -> None:
    published = 0
    for experiment in reproduce.experiments().values():
        readme = " ".join((experiment.folder / "README.md").read_text().split())
        for profile in experiment.profiles:
            result = experiment.result(profile)
            if result:
                published += 1
                texts = {claim.name: claim.text for claim in read_claims(experiment.claims(profile)).claims}
                for name, found in experiment.conclusions(profile).items():
                    assert f"{texts[name]} **{found.conclusion}" in readme
                assert f"{result['trials']} trials" in readme
    assert published
