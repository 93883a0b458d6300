"""A user's mistake is one message that names what was given and what is valid; nothing is made on disk."""

import sys
from pathlib import Path

import pytest

from forked_process import forked_command
from skiplab.cli import main
from tiny_trials import TINY

# overrides, and what the message must hold
MISTAKES = {
    "unknown option": (["connection=identiy"], ["identiy", "identity", "plain", "rezero"]),
    "unknown option in a list": (["instrument=[stabilit]"], ["instrument/stabilit", "valid: act", "'stability'?"]),
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
    "frozen to the last block": (["frozen_fraction=1"], ["frozen_fraction=1 of 4 blocks", "0.25 to 0.75"]),
    "no eval_batch": (["eval_batch.num_levels=0"], ["num_levels=0", "from 1"]),
    "instrument that never measures": (["instrument.gradient_flow.every_n_steps=0"], ["every_n_steps=0", "from 1"]),
    "bad study name": (["run.study=a/b"], ["a/b", "one folder name"]),
    "study that reads as a number": (["run.study=inf"], ["inf", "valid: text", "'run.study=\"inf\"'"]),
    "study outside": (["run.study=.."], ["..", "one folder name"]),
    "impossible noise times": (["noise_schedule.time_max=1.5"], ["time_max=1.5", "< 1"]),
    "grammar": (["depth=[4"], ["[4"]),
    "unknown launcher": (["hydra/launcher=nope"], ["unknown option hydra/launcher/nope; valid: basic, "]),
    "no option": (["connection="], ["connection= is empty and needs an option; valid: adaln", ", plain, "]),
    "settings for an option": (["connection={a: 1}"], ["connection={a: 1} is not an option; valid: ", ", plain, "]),
    "word without =": (["foo"], ["foo is not an override; write NAME=VALUE without spaces"]),
    "value without name": (["=3"], ["=3 has no name; write NAME=VALUE"]),
    "stray comma": (["-m", "seed=0,1,"], ["'seed=0,1,' has an extra comma; write seed=0,1"]),
    "step of zero": (["-m", "seed=range(0,2,0)"], ["seed=range(0,2,0) has a step of 0", "range(START,STOP,STEP)"]),
    "interval": (["-m", "seed=interval(0,1)"], ["seed=interval(0,1) is a continuous interval", "range(START,STOP)"]),
    "path with a comma": (
        ["data=image_folder", "data.path=a,b"],
        ["text with a comma, write 'data.path=\"a,b\"'"],
    ),
    "setting of another option": (["data.path=few"], ["unknown setting data.path; ", "data=image_folder"]),
    "empty path": (["data=image_folder", "data.path="], ["data.path= is empty; give the folder"]),
    "one configuration of many": (["-m", "--cfg", "job"], ["remove -m"]),
}

# files of one's own in conf/, the overrides that choose them, and what the message must hold
MISTAKES_IN_FILES = {
    "experiment/own.yaml": (
        "seed: 0\noptimizer: {lr: 0.1\ndepth: 4\n",
        "own.yaml is not valid YAML: line 3: ",
        "line 2",
    ),
    "connection/own.yaml": ("_target_: nowhere.Plan\n", "connection._target_=nowhere.Plan can't be imported", ""),
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
    ["unknown option", "misspelt override", "depth in words", "bad study name", "threads in words"],
)
def test_a_sweeps_mistake(mistake: str, tmp_path: Path, capsys) -> None:
    overrides, named = MISTAKES[mistake]
    arguments = ["train", "-m", *TINY, f"run.runs_dir={tmp_path / 'runs'}", "connection=plain,identity", *overrides]
    if mistake == "unknown option":
        arguments.remove("connection=plain,identity")
    message = explained([*arguments, "hydra/launcher=basic"], capsys)
    for part in named:
        assert part in message, message
    assert not (tmp_path / "runs").exists()


def test_a_sweeps_mistake_that_a_worker_finds(tmp_path: Path) -> None:
    overrides, named = MISTAKES["batch too large"]
    arguments = ["train", "-m", *TINY, f"run.runs_dir={tmp_path / 'runs'}", "connection=plain,identity", *overrides]
    sweep = forked_command(arguments)
    _, message = sweep.communicate()
    assert sweep.returncode == 1
    assert message.startswith("skiplab: ")
    assert message.count("skiplab: ") == 1
    assert "Traceback" not in message
    for part in named:
        assert part in message, message
    assert not (tmp_path / "runs").exists()


def test_runs_dir_that_is_a_file(tmp_path: Path, capsys) -> None:
    blocked = tmp_path / "runs"
    blocked.write_text("a file")
    message = explained(["train", *TINY, f"run.runs_dir={blocked}"], capsys)
    assert f"run.runs_dir={blocked}" in message
    assert blocked.read_text() == "a file"


@pytest.mark.skipif(sys.platform != "linux", reason="has no /proc")
@pytest.mark.parametrize("sweep", [[], ["-m", "hydra/launcher=basic"]], ids=["trial", "sweep"])
def test_runs_dir_that_the_system_makes_for_nobody(sweep, capsys) -> None:
    message = explained(["train", *sweep, *TINY, "run.runs_dir=/proc/x"], capsys)
    assert "can't write to run.runs_dir=/proc/x: No such file or directory; " in message


@pytest.mark.parametrize("name", MISTAKES_IN_FILES)
def test_a_mistake_in_a_file_of_ones_own(name: str, tmp_path: Path, capsys, caplog) -> None:
    content, *named = MISTAKES_IN_FILES[name]
    file = tmp_path / "conf" / name
    file.parent.mkdir(parents=True)
    file.write_text(content)
    chosen = f"{file.parent.name}={file.stem}"
    words = ["train", "--config-dir", str(tmp_path / "conf"), *TINY, f"run.runs_dir={tmp_path / 'runs'}", chosen]
    message = explained(words, capsys)
    for part in named:
        assert part in message
    assert len(message.splitlines()) == 1
    assert not caplog.records
    assert not (tmp_path / "runs").exists()


def test_claims_that_are_no_yaml_are_told_before_anything_is_done(tmp_path: Path, capsys, run) -> None:
    run(tmp_path / "runs")
    (tmp_path / "claims.yaml").write_text("a: 1\nb: [1\nc: 2\n")
    with pytest.raises(SystemExit):
        main(["train", "-m", *TINY, f"run.runs_dir={tmp_path / 'runs'}", f"run.claims={tmp_path / 'claims.yaml'}"])
    captured = capsys.readouterr()
    path = tmp_path / "claims.yaml"
    assert f"skiplab: the claims file {path} is not valid YAML: line 3: while parsing a flow" in captured.err
    assert "byte string" not in captured.err
    assert "nothing left" not in captured.out


def test_a_profile_without_its_option(capsys) -> None:
    message = explained(["reproduce", "residual_in_diffusion", "quick"], capsys)
    asked = "write an override as NAME=VALUE, and a profile as --profile quick"
    assert message.endswith(f"quick is not an override; {asked}\n")


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
