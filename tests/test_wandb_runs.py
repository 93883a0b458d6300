"""What a trial's W&B run is, whatever the environment says; read back from offline files."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import wandb

from skiplab.analysis.wandb.wandb_import import import_runs
from skiplab.errors import SkiplabError
from skiplab.records.layer_keys import layer_key
from skiplab.training.machine import check_machine
from skiplab.training.wandb_settings import run_mode
from tiny_trials import TINY, compose_config, run_composed, run_tiny

MEASURED = ("evaluator=[denoising_loss,sample_grid]", "evaluator.sample_grid.rows=2", "evaluator.sample_grid.columns=3")
STUDY = "Größen, 2 Läufe"
# Variables that are meant for other runs; W&B takes each from the environment.
STRAY = {
    "WANDB_SWEEP_ID": "abcd1234",
    "WANDB_RUN_ID": "stray",
    "WANDB_RUN_GROUP": "stray",
    "WANDB_PROJECT": "stray",
    "WANDB_JOB_TYPE": "stray",
    "WANDB_NAME": "stray",
    "WANDB_TAGS": "stray",
    "WANDB_LAUNCH": "true",
    "WANDB_RESUME": "must",
    "WANDB_IGNORE_GLOBS": "*.json,*.csv",
    "WANDB_USE_DOT_WANDB": "true",
}


def inspect(folder: Path) -> list[dict[str, Any]]:
    """W&B's own reading of the one run below a record's folder: a record a line."""
    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    quiet = {name: value for name, value in os.environ.items() if name not in STRAY}
    lines = subprocess.run(command, check=True, capture_output=True, text=True, env=quiet).stdout.splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def alone(monkeypatch, tmp_path_factory):
    """No account, nobody to talk to, and a session of W&B's own, which reads the environment when it begins."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", os.devnull)
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path_factory.mktemp("staging")))
    wandb.teardown()
    yield monkeypatch
    wandb.teardown()


def train(runs_dir: Path, *overrides: str):
    return run_composed(compose_config(*TINY, *overrides), runs_dir).record


def steps_of(lines: list[dict[str, Any]], name: str) -> list[int]:
    """The steps at which something of that name was logged."""
    rows = [line["history"] for line in lines if line["type"] == "history"]
    return [row["step"].get("num", 0) for row in rows if any(each.startswith(name) for each in row["item"])]


def test_a_stray_environment_makes_no_other_run(alone, tmp_path) -> None:
    for name, value in STRAY.items():
        alone.setenv(name, value)
    record = train(tmp_path, *MEASURED, "logger=wandb_offline", f"run.study='{STUDY}'")
    lines = inspect(record.folder)
    (run,) = (line["run"] for line in lines if line["type"] == "run")
    assert run["run_id"] == record.key == record.read()["provenance"]["wandb_id"]
    assert run["project"] == "skiplab"
    assert run["run_group"].startswith(f"{STUDY}: digits unet")
    assert run["job_type"] == "identity"
    assert not run.get("sweep_id")
    assert "stray" not in json.dumps(run)
    assert {f"study={STUDY}", "identity", "digits"} <= set(run["tags"])
    (log,) = record.folder.glob("wandb/offline-run-*/*.wandb")
    for private in (str(record.folder), sys.executable, f"{socket.gethostname()}r"):  # W&B writes it so
        assert private.encode() not in log.read_bytes(), private
    assert run["config"]["update"]["study"] == STUDY
    taken, left = import_runs(str(record.folder), tmp_path / "back")
    assert (len(taken), left) == (1, [])
    assert STUDY in taken[0]
    # W&B's `_step` is the training step
    assert steps_of(lines, "loss") == [1, 3, 5]  # fetched after every second
    assert steps_of(lines, "layers/weight_gradient_norm/stem") == [0]
    assert steps_of(lines, "samples") == steps_of(lines, "measurements/") == [6] == [record.read()["step"]]


def test_a_run_of_the_users_own_code_goes_on(alone, tmp_path) -> None:
    theirs = wandb.init(mode="offline", dir=tmp_path, settings=wandb.Settings(silent=True, console="off"))
    record = train(tmp_path / "runs", "logger=wandb_offline")
    theirs.log({"mine": 1})
    theirs.finish()
    assert record.read()["provenance"]["wandb_id"] == record.key
    (run,) = (line["run"] for line in inspect(record.folder) if line["type"] == "run")
    assert run["run_id"] == record.key


def test_a_trial_leaves_no_temporary_files(alone, tmp_path) -> None:
    """A trial of a sweep ends without Python's own end, at which W&B would remove the files of its tables."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    alone.setattr(tempfile, "tempdir", str(temporary))
    record = train(tmp_path / "runs", *MEASURED, "logger=wandb_offline")
    assert list(temporary.iterdir()) == []
    assert len([*record.folder.glob("wandb/offline-run-*/files/media/table/**/*.table.json")]) == 2
    assert list(record.folder.glob("wandb/offline-run-*/tables")) == []


@pytest.mark.parametrize(
    ("asked", "logger", "mode"),
    [
        (None, "online", "online"),
        ("run", "online", "online"),
        ("offline", "online", "offline"),
        ("dryrun", "online", "offline"),
        ("disabled", "online", "disabled"),
        (None, "offline", "offline"),
        ("online", "offline", "offline"),
        ("disabled", "offline", "disabled"),
    ],
)
def test_the_quieter_of_logger_and_environment_counts(monkeypatch, asked, logger, mode) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    if asked:
        monkeypatch.setenv("WANDB_MODE", asked)
    assert run_mode(logger == "offline") == mode


@pytest.mark.parametrize("mode", ["offline", "dryrun", "disabled"])
def test_online_trials_are_trained_where_wandb_is_quiet(alone, tmp_path, mode) -> None:
    alone.setenv("WANDB_MODE", mode)
    composed = compose_config(*TINY, "logger=wandb_online")
    check_machine(composed.config)
    record = run_composed(composed, tmp_path).record
    assert record.read()["status"] == "done"
    runs = list(record.folder.glob("wandb/offline-run-*/*.wandb"))
    assert len(runs) == (mode != "disabled")
    assert record.read()["provenance"]["wandb_id"] == (record.key if runs else None)


@pytest.mark.parametrize(
    ("overrides", "variables", "message"),
    [
        (["logger=wandb_online"], {}, "needs an API key of W&B; run `wandb login`, set WANDB_API_KEY"),
        (["logger=wandb_offline"], {"WANDB_MODE": "loud"}, "WANDB_MODE=loud is invalid; valid: online"),
        (["logger=wandb_offline"], {"WANDB_MODE": ""}, "WANDB_MODE= is invalid"),
        (["logger=wandb_offline"], {"WANDB_RUN_ID": "a/b"}, "WANDB_RUN_ID=a/b is refused by W&B: .*unset it"),
        (
            ["logger=wandb_offline"],
            {"WANDB_RUN_ID": "a", "WANDB_FORK_FROM": "a?_step=1"},
            r"WANDB_FORK_FROM=a\?_step=1 is refused by W&B",
        ),
        (["logger=wandb_offline"], {"WANDB_CONSOLE": "x"}, "WANDB_CONSOLE=x is refused by W&B: .*unset it"),
        (["logger=wandb_offline", "logger.project=a/b"], {}, "logger.project=a/b is invalid: .*characters"),
        (["logger=wandb_offline", "logger.project=''"], {}, "logger.project= is invalid; valid: a name"),
    ],
)
def test_what_wandb_would_refuse_is_refused_before(alone, tmp_path, overrides, variables, message) -> None:
    for name, value in variables.items():
        alone.setenv(name, value)
    with pytest.raises(SkiplabError, match=message) as refused:
        train(tmp_path, *overrides)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_long_names_are_cut_and_told_apart(alone, tmp_path) -> None:
    alone.setenv("WANDB_FORK_FROM", "other?_step=1")
    names = ["x" * 200 + end for end in "ab"]
    runs = []
    for name in names:
        record = train(tmp_path / name[-1], "logger=wandb_offline", f"run.study={name}")
        assert record.read()["status"] == "done"
        runs += [line["run"] for line in inspect(record.folder) if line["type"] == "run"]
    assert all(len(run[name]) <= 128 for run in runs for name in ("run_group", "display_name"))
    assert all(len(tag) <= 64 for run in runs for tag in run["tags"])
    assert runs[0]["run_group"] != runs[1]["run_group"]
    assert set(runs[0]["tags"]) != set(runs[1]["tags"])


def test_layers_stand_in_one_section_in_the_networks_order() -> None:
    paths = [f"stage.{block}.joins.{join}.conv1" for block in (0, 2, 10, 100) for join in (0, 1)]
    keys = [layer_key("weight_gradient_norm", path) for path in paths]
    assert keys == sorted(keys)
    assert keys[4] == "layers/weight_gradient_norm/stage.010.joins.000.conv1"
    assert layer_key("q", "block.7") == "layers/q/block.007"
    assert layer_key("q", "stem") == "layers/q/stem"


def test_a_run_lies_below_its_record_from_whatever_folder_it_is_trained(alone, tmp_path) -> None:
    """W&B's own process keeps the folder in which its first run began, and would read a relative path from there."""
    for place, seed in (("first", 0), ("second", 1)):
        (tmp_path / place).mkdir()
        alone.chdir(tmp_path / place)
        run_tiny(Path("runs"), "logger=wandb_offline", f"seed={seed}")
        assert len(list((tmp_path / place).glob("runs/*/wandb/offline-run-*/*.wandb"))) == 1
