"""Kernels of other instructions round differently, under the same key: the record says which were used."""

import pytest

from skiplab.errors import SkiplabError
from skiplab.records.record import Record
from tiny_trials import run_tiny


def test_a_trial_that_goes_on_with_other_instructions_says_so(tmp_path, monkeypatch, capsys) -> None:
    def breaking(*_, **__):
        raise RuntimeError("the power went")

    monkeypatch.delenv("MKL_CBWR", raising=False)
    with monkeypatch.context() as broken:
        broken.setattr("skiplab.training.trial.fit", breaking)
        with pytest.raises(SkiplabError, match="the power went"):
            run_tiny(tmp_path)
    record = Record(tmp_path, next(tmp_path.glob("*/record.json")).parent.name)
    before = record.read()["provenance"]["hardware"].get("instructions")
    assert before
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    capsys.readouterr()
    run_tiny(tmp_path)
    said = f"it was begun with the instructions {before} and goes on with {before}, MKL_CBWR=COMPATIBLE, so its weights"
    assert said in capsys.readouterr().out
    assert record.read()["salvaged"][0].startswith(said)
    assert record.read()["status"] == "done"


def test_a_trial_that_goes_on_with_the_same_says_nothing(tmp_path, monkeypatch, capsys) -> None:
    run_tiny(tmp_path)
    trial = run_tiny(tmp_path, "evaluator=[denoising_loss,baselines]")
    assert trial.outcome.action == "evaluated"
    assert "instructions" not in capsys.readouterr().out
    assert trial.record.read()["salvaged"] == []
