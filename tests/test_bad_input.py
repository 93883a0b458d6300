"""A user's mistake is one message that names what was given and what is valid; nothing is made on disk."""

from pathlib import Path

import pytest

from skiplab.cli import main
from tiny_trials import TINY

# overrides, and what the message must hold
MISTAKES = {
    "unknown option": (["connection=identiy"], ["identiy", "identity", "plain", "rezero"]),
    "unknown option in a list": (["instrument=[signl]"], ["instrument/signl", "valid: gradient_", "'signal'?"]),
    "misspelt override": (["dpeth=4"], ["dpeth", "depth"]),
    "misspelt leaf": (["optimizer.lrr=1"], ["lrr", "lr", "weight_decay"]),
    "impossible depth": (["depth=6"], ["depth=6", "4 and 8"]),
    "depth of zero": (["depth=0"], ["depth=0", "whole number from 1"]),
    "negative width": (["width=-8"], ["width=-8", "whole number from 1"]),
    "depth in words": (["depth=abc"], ["depth=abc", "whole number from 1"]),
    "half a depth": (["depth=4.5"], ["depth=4.5", "whole number from 1"]),
    "width that the norm can't divide": (["width=6"], ["norm.num_groups=4", "1, 2, 3, 6"]),
    "batch too large": (["batch_size=2000"], ["batch_size=2000", "1437"]),
    "no steps": (["trainer.max_steps=0"], ["trainer.max_steps=0", "whole number from 1"]),
    "negative seed": (["seed=-1"], ["seed=-1", "from 0"]),
    "negative learning rate": (["optimizer.lr=-0.1"], ["optimizer", "-0.1"]),
    "learning rate in words": (["optimizer.lr=fast"], ["optimizer", "fast"]),
    "no threads": (["num_threads=0"], ["num_threads=0", "whole number from 1"]),
    "threads in words": (["num_threads=two"], ["num_threads=two", "whole number from 1"]),
    "long skip without decoder": (["backbone=isotropic"], ["isotropic", "long_skip=none"]),
    "unknown precision": (["trainer.precision=12-true"], ["precision=12-true", "32-true"]),
    "frozen to the last block": (["frozen_share=1"], ["frozen_share=1 of 4 blocks", "0.25 to 0.75"]),
    "no probe": (["probe.num_levels=0"], ["num_levels=0", "from 1"]),
    "instrument that never measures": (["instrument.gradient_flow.every_n_steps=0"], ["every_n_steps=0", "from 1"]),
    "bad study name": (["run.study=a/b"], ["a/b", "one folder name"]),
    "study that reads as a number": (["run.study=inf"], ["inf", "valid: text", "'run.study=\"inf\"'"]),
    "study outside": (["run.study=.."], ["..", "one folder name"]),
    "impossible noise times": (["noise_schedule.time_max=1.5"], ["time_max=1.5", "< 1"]),
    "grammar": (["depth=[4"], ["[4"]),
}


def explained(arguments: list[str], capsys: pytest.CaptureFixture) -> str:
    """The message that a mistake ends with."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 1
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert captured.err.startswith("skiplab: ")
    assert captured.err.count("skiplab: ") == 1
    return captured.err


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_trials_mistake(mistake: str, tmp_path: Path, capsys) -> None:
    overrides, named = MISTAKES[mistake]
    message = explained(["train", *TINY, f"run.runs_dir={tmp_path / 'runs'}", *overrides], capsys)
    for part in named:
        assert part in message, message
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "mistake",
    ["unknown option", "misspelt override", "depth in words", "batch too large", "bad study name", "threads in words"],
)
def test_a_sweeps_mistake(mistake: str, tmp_path: Path, capsys) -> None:
    overrides, named = MISTAKES[mistake]
    arguments = ["train", "-m", *TINY, f"run.runs_dir={tmp_path / 'runs'}", "connection=plain,identity", *overrides]
    if mistake == "unknown option":
        arguments.remove("connection=plain,identity")
    if mistake != "batch too large":  # which a worker finds
        arguments.append("hydra/launcher=basic")
    message = explained(arguments, capsys)
    for part in named:
        assert part in message, message
    assert not (tmp_path / "runs").exists()


def test_runs_dir_that_is_a_file(tmp_path: Path, capsys) -> None:
    blocked = tmp_path / "runs"
    blocked.write_text("a file")
    message = explained(["train", *TINY, f"run.runs_dir={blocked}"], capsys)
    assert f"run.runs_dir={blocked}" in message
    assert blocked.read_text() == "a file"


def test_corrupt_record(tmp_path: Path, capsys, run) -> None:
    trial = run(tmp_path)
    (trial.record.folder / "record.json").write_text("{")
    message = explained(["train", *TINY, f"run.runs_dir={tmp_path}"], capsys)
    assert str(trial.record.folder / "record.json") in message


def test_unknown_experiment(capsys) -> None:
    message = explained(["reproduce", "residual_in_difusion"], capsys)
    assert "residual_in_difusion" in message
    assert "residual_in_diffusion" in message.replace("residual_in_difusion", "")


def test_unknown_profile(capsys) -> None:
    message = explained(["reproduce", "residual_in_diffusion", "--profile", "instant"], capsys)
    assert "instant" in message
    assert "quick" in message


def test_a_right_trial_says_what_it_did(tmp_path: Path, capsys) -> None:
    """The counterpart of the above: nothing but results is printed, and nothing to standard error."""
    main(["train", *TINY, f"run.runs_dir={tmp_path}"])
    captured = capsys.readouterr()
    assert "trained, done" in captured.out
    assert "skill_val" in captured.out
    main(["train", *TINY, f"run.runs_dir={tmp_path}"])
    assert "already done, done" in capsys.readouterr().out
