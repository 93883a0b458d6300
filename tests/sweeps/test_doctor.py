"""The doctor looks at everything, changes nothing, and says what to do where something is missing."""

from pathlib import Path

import pytest

from skiplab.cli import main
from skiplab.sweeps import doctor


def test_says_what_there_is(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKIPLAB_CACHE_DIR", str(tmp_path / "cache"))
    main(["doctor", "--runs-dir", str(tmp_path / "runs")])
    shown = capsys.readouterr().out
    for words in ("cores", "GiB free", "torch", "GPU", "in process, on all cores", "wandb", "Inception"):
        assert words in shown
    assert not list(tmp_path.iterdir()), "nothing is made"


def test_finds_weights_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKIPLAB_CACHE_DIR", str(tmp_path))
    missing = doctor._inception(tmp_path)
    (tmp_path / "inception-2015-12-05.pt").touch()
    assert (missing.is_fine, doctor._inception(tmp_path).is_fine) == (False, True)
    assert "feature_extractor=inception" in missing.advice


def test_a_key_in_the_environment_is_an_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    assert not doctor._wandb(tmp_path).is_fine
    monkeypatch.setenv("WANDB_API_KEY", "x")
    assert doctor._wandb(tmp_path).is_fine


def test_a_full_disk_or_a_closed_folder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    finding = doctor._disk(tmp_path / "runs")
    assert not finding.is_fine
    assert "run.runs_dir=" in finding.advice
