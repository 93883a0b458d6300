"""`skiplab train --help`: every axis, option and preset, and the settings that the command's words leave."""

from pathlib import Path

import pytest

from hostile import outcome
from option_files import AXES, options
from skiplab.cli import main


def shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    main(["train", *words])
    return capsys.readouterr().out


def options_of(text: str, axis: str) -> list[str]:
    """What stands below an axis: its options, with a star behind those that are chosen."""
    below = text.partition(f"\n  {axis}: ")[2].partition("\n")[2]
    lines = below.split("\n")
    count = next(number for number, line in enumerate(lines) if not line.startswith("      "))
    return " ".join(lines[:count]).replace(",", "").split()


def test_it_lists_every_axis_with_its_options_and_stars_what_the_words_choose(capsys) -> None:
    text = shown(["-h", "connection=scaled", "evaluator=[baselines,lesion]"], capsys)
    for axis in AXES:
        assert sorted(option.rstrip("*") for option in options_of(text, axis)) == sorted(options(axis)), axis
    assert [option for option in options_of(text, "connection") if option.endswith("*")] == ["scaled*"]
    assert [option for option in options_of(text, "evaluator") if option.endswith("*")] == ["baselines*", "lesion*"]
    assert "residual_in_diffusion/quick" in text
    assert "update_factor: 1.0" in text


def test_what_is_swept_is_left_as_it_is_without_the_word(capsys) -> None:
    text = shown(["-m", "connection=plain,identity", "depth=4,8", "width=32", "--help"], capsys)
    assert "identity*" in options_of(text, "connection")
    assert "  depth: 8\n  width: 32\n" in text


def test_a_preset_that_sweeps_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert "study: residual_in_diffusion_quick" in shown(["experiment=residual_in_diffusion/quick", "--help"], capsys)
    assert not any(tmp_path.iterdir())


def test_options_of_ones_own_stand_among_the_others(tmp_path: Path, capsys) -> None:
    (tmp_path / "connection").mkdir()
    own = tmp_path / "connection" / "mine.yaml"
    own.write_text("_target_: skiplab.blocks.connections.identity.Identity\n", encoding="utf-8")
    text = shown(["--help", "--config-dir", str(tmp_path), "connection=mine"], capsys)
    assert "mine*" in options_of(text, "connection")


@pytest.mark.parametrize(
    ("word", "answer"),
    [("connection=plane", "unknown option connection/plane"), ("depth", "depth is not an override")],
)
def test_a_wrong_word_is_refused(word: str, answer: str, capsys) -> None:
    code, text = outcome(["train", word, "--help"], capsys)
    assert code == 1
    assert answer in text
