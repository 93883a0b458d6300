"""Wrong words for every command, drawn from its own parser: each ends well or in one sentence."""

import argparse
import json
import random
import shutil
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Runs, fill_study
from hostile import WORDS, Case, assert_told, drawn, outcome
from skiplab.analysis.study.study import read_study
from skiplab.cli.parser import make_parser
from skiplab.paths import project_dir

GOOD = {
    "study": "s",
    "experiment": "residual_in_diffusion",
    "folder": "runs",
    "preset": "points/quick",
    "name": "points/quick",
    "source": "me/mine",
    "files": "readings.csv",
    "model": "runs/0123456789abcdef",
    "tuned": str(project_dir("experiments") / "six_claims" / "tuned_digits" / "tuned.yaml"),
}
OVERRIDES = ("depth=[4", "lr=1", "+x=1", "connection=null", "run.runs_dir=3", "seed=range()")


def command_cases(draw: random.Random) -> Iterator[Case]:
    """Each command with wrong words for its arguments and options, as its own parser lists them."""
    (choices,) = (each for each in make_parser()._actions if isinstance(each, argparse._SubParsersAction))
    commands = {name: parser for name, parser in choices.choices.items() if name != "train"}
    while True:
        for name, parser in commands.items():
            words = ["--dry-run"] if name in ("tune", "confirm", "decide") else []
            for action in parser._actions:
                wrong = draw.random() < 0.3
                if not action.option_strings and action.nargs != "*":
                    words = [draw.choice(WORDS) if wrong else GOOD[action.dest], *words]
                elif action.option_strings and (action.required or (wrong and action.dest not in ("help", "dry_run"))):
                    words += [action.option_strings[0], *([draw.choice(WORDS)] if action.nargs != 0 else [])]
            if any(action.dest == "overrides" for action in parser._actions):
                words += [draw.choice(OVERRIDES)]
            yield Case([name, *words, *(["left", "over"] if draw.random() < 0.05 else [])])


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    """The runs of a study as a command leaves them, its cache beside them; each test gets a copy."""
    folder = fill_study(Runs(tmp_path_factory.mktemp("filled")), effect=0.2, num_seeds=2).folder
    for path in folder.glob("*/record.json"):
        content = json.loads(path.read_text())
        content["factors"] |= {"width": 8, "trainer.max_steps": 100}  # as every trial has
        path.write_text(json.dumps(content))
    return folder


@pytest.fixture
def nothing_outside(monkeypatch) -> None:
    """No network, no browser, no server that goes on."""
    import wandb
    from aiohttp import web

    def refuse(*_: object, **__: object) -> None:
        raise wandb.errors.CommError("no network here")

    monkeypatch.setattr(wandb, "Api", refuse)
    monkeypatch.setattr(web, "run_app", lambda *_, **__: None)
    monkeypatch.setattr(webbrowser, "open", lambda _: True)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", "/dev/null")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of wandb-workspaces, when it is imported
@pytest.mark.parametrize("case", drawn(command_cases, 90, seed=2), ids=str)
def test_a_wrong_command(case: Case, filled, tmp_path, monkeypatch, capsys, nothing_outside, undrawn) -> None:
    folder = shutil.copytree(filled, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    read_study("s", folder)  # leaves its cache, as every command does
    before = sorted(tmp_path.rglob("*"))
    code, err = outcome(case.words, capsys)
    assert_told(code, err)
    if code:
        assert sorted(tmp_path.rglob("*")) == before
