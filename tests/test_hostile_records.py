"""A record of someone who means harm runs no code, writes nowhere else, and ends a command in one sentence."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from forked_process import Forked
from hostile_records import HOSTILE, REFUSED, change_record, make_hostile, png
from watch_hostile import watch_commands

READING = ("status", "table", "effects", "report", "figures", "dashboard", "wandb-import")


class Watched(NamedTuple):
    """What became of the commands. keys: the record of each kind; before, after: the files that are outside."""

    keys: dict[str, str]
    found: dict[str, dict[str, Any]]
    before: dict[str, bytes]
    after: dict[str, bytes]
    page: str


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def watched(finished, tmp_path_factory) -> Watched:
    place = tmp_path_factory.mktemp("hostile")
    runs_dir, outside, offline, importable = (place / name for name in ("runs", "outside", "offline", "importable"))
    for folder in (runs_dir, outside, offline, importable):
        folder.mkdir()
    (outside / "secret").write_text("seed: 5\nsecret of the user\n")
    (outside / "picture.png").write_bytes(png(8, 8, b"\0" * 72))
    (importable / "acts_on_import.py").write_text(f"open({str(outside / 'it_ran')!r}, 'w').close()\n")
    good = finished.record.key
    shutil.copytree(finished.record.folder, runs_dir / good)
    other = Path(shutil.copytree(finished.record.folder, runs_dir / ("f" * 16)))  # to be compared with
    change_record(other, key=other.name, choices={**finished.record.read()["choices"], "connection": "plain"})
    keys = {
        name: make_hostile(finished.record.folder, runs_dir, outside, seed, name)
        for seed, name in enumerate(HOSTILE, start=100)
    }
    study = runs_dir / "studies" / "hostile"
    study.mkdir(parents=True)
    (study / "keys.txt").write_text(
        "\n".join([good, other.name, *keys.values(), "../outside", "x" * 300, "[/red]\x1b[31m"]) + "\n"
    )
    for name, key in keys.items():
        run = offline / f"offline-run-20260101_000000-{key}"
        hole = ["weights.safetensors"] if name == "hole_in_weights" else []  # copying would fill the disk with it
        left_out = shutil.ignore_patterns("history.csv", *hole)
        shutil.copytree(runs_dir / key, run / "files", symlinks=True, ignore=left_out)
        (run / "run.wandb").touch()
    before = contents(outside)
    answer = place / "answer.json"
    answer.write_text(json.dumps({"good": good}))
    environment = {**os.environ, "PYTHONPATH": str(importable)}
    ran = Forked(
        lambda: watch_commands(*map(str, (runs_dir, offline, outside, answer))), environment=environment, cwd=place
    )
    _, errors = ran.communicate(timeout=500)
    assert ran.returncode == 0, errors[-3000:]
    found, page = json.loads(answer.read_text()), study / "report.html"
    return Watched(keys, found, before, contents(outside), page.read_text() if page.exists() else "")


def test_there_are_many() -> None:
    assert len(HOSTILE) >= 15


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("command", ["load", "evaluate"])
def test_nothing_runs_and_one_sentence_tells(watched: Watched, name: str, command: str) -> None:
    found = watched.found[f"{command} {watched.keys[name]}"]
    assert found["seen"] == []
    assert not found["ended"].startswith("raised")
    assert len(found["ended"].strip().splitlines()) == 1
    if name in REFUSED:
        assert found["ended"].startswith("told"), found


@pytest.mark.parametrize("command", READING)
def test_reading_neither_imports_nor_opens_what_is_elsewhere(watched: Watched, command: str) -> None:
    assert watched.found[command] == {"ended": "done", "seen": []}


def test_nothing_outside_was_made_changed_or_removed(watched: Watched) -> None:
    assert watched.after == watched.before


def test_the_page_says_what_it_left_out(watched: Watched) -> None:
    for words in ("out of", "60000 x 60000 pixels", "whole number of", "nested too deeply", "it is no file"):
        assert words in watched.page, words
    assert "secret of the user" not in watched.page
