"""Wrong overrides, drawn from conf/: each ends well or in one sentence, and a refused one leaves nothing on disk."""

import random
import shutil
from collections.abc import Iterator

import pytest

from hostile import Case, assert_told, drawn, outcome
from option_files import AXES
from settings_of_options import Setting, settings
from tiny_trials import TINY, Trial

# What is given where something else belongs.
VALUES = [
    "many",
    "null",
    "-1",
    "0",
    "-0.5",
    "10000000000000000000000",
    "1e30",
    "nan",
    "inf",
    "true",
    "3.5",
    "[]",
    "[1,2]",
]
VALUES += [
    "[a,b]",
    "{a:1}",
    "''",
    "a=b",
    "???",
    "${nope}",
    "${oc.env:SKIPLAB_NO_SUCH_VARIABLE}",
    "${depth}",
    "it's",
    "ä",
]
VALUES += ["[4", "range()", "glob(zz*)", "4,8", "~/x"]
VALUES += ["two words", "x" * 300, "/".join(["y" * 200] * 20), "\x1b[31m"]


def train_cases(draw: random.Random) -> Iterator[Case]:
    """A trial or a sweep with one wrong word, of every axis and of settings of all options."""
    known = settings()
    for axis in AXES:
        yield Case(
            [draw.choice([f"{axis}=", f"{axis}=null", f"{axis}={axis}s", f"{axis}=[]", f"~{axis}", f"+{axis}=x"])]
        )
    while True:
        setting: Setting = draw.choice(known)
        parent, _, last = setting.name.rpartition(".")
        start = f"{parent}." if parent else ""
        kind = draw.random()
        if kind < 0.75:
            word = f"{setting.name}={draw.choice(VALUES)}"
        elif kind < 0.9:
            at = draw.randrange(len(last))
            word = f"{draw.choice(['', '+', '++'])}{start}{last[:at]}{last[at + 1 :]}={setting.default or 1}"
        else:
            word = draw.choice(
                [f"~{setting.name}", f"{parent or setting.name}=null", f"+{last}=1", f"+{setting.name}=1"]
            )
        yield Case([*setting.chosen, word, *draw.choice([[], [], ["-m"], ["-m", "seed=0,1"]])])


def evaluate_cases(draw: random.Random) -> Iterator[Case]:
    """Another measurement of a record, with one wrong setting of how it is measured."""
    measures = ("evaluator", "feature_extractor", "eval_batch", "num_samples", "logger")
    known = [setting for setting in settings() if setting.name.split(".")[0] in measures]
    while True:
        setting = draw.choice(known)
        yield Case([*setting.chosen, f"{draw.choice(['', '', '+'])}{setting.name}={draw.choice(VALUES)}"])


@pytest.mark.parametrize("case", drawn(train_cases, 90, seed=1, slow=30), ids=str)
def test_a_wrong_override(case: Case, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", *TINY, *(["hydra/launcher=basic"] if "-m" in case.words else []), "run.dry_run=true", *case.words]
    assert_told(*outcome(words, capsys))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("case", drawn(evaluate_cases, 40, seed=3, slow=15), ids=str)
def test_a_wrong_measurement(case: Case, finished: Trial, tmp_path, monkeypatch, capsys) -> None:
    folder = tmp_path / finished.record.key
    shutil.copytree(finished.record.folder, folder)
    monkeypatch.chdir(folder)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, err = outcome(["evaluate", ".", "logger=none", "num_samples=32", *case.words], capsys)
    assert_told(code, err)
    if code:
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
