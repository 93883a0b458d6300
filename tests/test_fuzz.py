"""Records and imported folders with random faults: no command breaks, no table changes in silence, nothing runs."""

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from skiplab.analysis.figures.figure_files import figures_command
from skiplab.analysis.page.report import report_command
from skiplab.analysis.study import study_cache
from skiplab.analysis.study.study import read_study
from skiplab.analysis.tables.table_command import table_command
from skiplab.analysis.wandb.wandb_import import import_runs
from skiplab.records.record import Record
from skiplab.records.study_list import join_study
from skiplab.sweeps.status import read_standings, render
from tiny_trials import Trial

SEED = 20_240_607
OTHER = "f" * 16
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 2**63, -(2**63), 2**64, 10**400, float("nan"), float("inf"), 1e308),
    *("", "nan", "[/red]\x1b[31m", "a\0b", "\ud800", "ä" * 3000, "../../outside", "${oc.env:HOME}", "2026-01-01"),
    *([], {}, [1, 2], ["loss"], {"_target_": "os.system"}, {"": {}}, [[[[]]]], {"a": [None]}),
)
CONFIGURATIONS = ("[]", "5", "run: 7", "run: {study: [a]}", "~", "\0", "{" * 900)
Change = Callable[[random.Random, bytes], bytes]


def places(node: Any, path: tuple = ()) -> Iterator[tuple]:
    """Where a value of JSON stands, at any depth."""
    if path:
        yield path
    for name in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield from places(node[name], (*path, name))


def change_value(draw: random.Random, text: bytes) -> bytes:
    content = json.loads(text)
    *path, last = draw.choice(list(places(content)))
    node = content
    for name in path:
        node = node[name]
    kind = draw.randrange(5)
    if kind == 0:
        del node[last]
    elif kind == 1 and isinstance(node, dict):
        node[draw.choice(["", "unheard_of", "seed", "\ud800"])] = draw.choice(VALUES)
    else:
        node[last] = draw.choice(VALUES)
    return json.dumps(content).encode()


def change_number(draw: random.Random, text: bytes) -> bytes:
    """A change that leaves a valid record, which only its checksum tells."""
    content = json.loads(text)
    name = draw.choice(sorted(content["summary"]))
    content["summary"][name] = draw.choice([0.0, 1.0, -(content["summary"][name] or 1.0), 1e9])
    return json.dumps(content).encode()


def change_bytes(draw: random.Random, text: bytes) -> bytes:
    at = draw.randrange(len(text))
    return draw.choice(
        [
            text[:at],
            text[:at] + bytes([draw.randrange(256)]) + text[at + 1 :],
            text[:at] + text[at + draw.randrange(40) :],
            text[:at] + draw.choice([b"\0", b"\xff", b'"', b"{", b"]", b"NaN", b"-", b"\xed\xa0\x80"]) + text[at:],
            b"\xef\xbb\xbf" + text,
            text.decode().encode("utf-16"),
            text + text,
            b"[" * 10_000 + text,
            b"",
        ]
    )


def without_checksum(text: bytes) -> bytes:
    """As who means harm would leave it; unchanged if it is no record."""
    try:
        content = json.loads(text)
        content.pop("checksum", None)
        return json.dumps(content).encode()
    except (ValueError, AttributeError, RecursionError):
        return text


@pytest.fixture
def runs_dir(finished: Trial, tmp_path: Path, monkeypatch) -> Path:
    """A study of two finished trials, of which the second is to be spoilt; nothing may be run."""

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("a record has run something")

    for name in ("system", "execv", "posix_spawn"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(study_cache, "store", lambda *_: None)  # which would be most of the time
    runs = tmp_path / "runs"
    shutil.copytree(finished.record.folder, runs / finished.record.key)
    shutil.copytree(finished.record.folder, runs / OTHER)
    content = finished.record.read()
    content["key"], content["factors"]["seed"], content["choices"]["connection"] = OTHER, 1, "plain"
    Record(runs, OTHER).write(content)
    join_study(runs, "s", [finished.record.key, OTHER])
    return runs


def records(runs_dir: Path, count: int, seed: int) -> None:
    draw, path = random.Random(seed), runs_dir / OTHER / "record.json"
    whole, sound = path.read_bytes(), read_study("s", runs_dir).trials
    good = sound["key"] != OTHER
    num_left_out = 0
    for number in range(count):
        changed = draw.choice([change_value, change_value, change_number, change_bytes])(draw, whole)
        hostile = draw.random() < 0.4
        path.write_bytes(without_checksum(changed) if hostile else changed)
        os.utime(path, ns=(number, number))  # the study's cache looks at the time
        where = f"number {number}: {changed[:80]!r}"
        standings = read_standings("s", runs_dir)
        render("s", standings)
        study = read_study("s", runs_dir)
        assert set(study.trials["key"]) <= set(sound["key"]), where
        if len(study.trials) == 1:
            num_left_out += 1
            (problem,) = (each for each in study.problems if OTHER in each.where)
            assert "\n" not in problem.reason, where
            assert {each.key: each.state for each in standings}[OTHER] in ("unreadable", "pending"), where
            pd.testing.assert_series_equal(
                study.trials.loc[0, ["key", "loss_val", "seed"]], sound.loc[good].iloc[0][["key", "loss_val", "seed"]]
            )
        elif not hostile:
            pd.testing.assert_frame_equal(study.trials, sound, obj=where)
        if number % 50 == 0:
            table_command("s", runs_dir)
        if number % 500 == 1:
            report_command("s", runs_dir)
            figures_command("s", runs_dir, formats=["svg"], only=["loss_by_noise"])
    assert num_left_out > count / 3


def test_a_spoilt_record_is_left_out_and_changes_no_table(runs_dir, undrawn, capsys) -> None:
    records(runs_dir, 500, SEED)


@pytest.mark.slow
def test_ten_times_as_many_spoilt_records(runs_dir, undrawn, capsys) -> None:
    records(runs_dir, 5000, SEED + 1)


def spoil(draw: random.Random, files: Path, outside: Path) -> None:
    """Change one file of an offline run."""
    path = files / draw.choice(["record.json", "config.yaml", "history.csv", "measurements.csv", "layers.csv"])
    kind = draw.randrange(9)
    if kind == 0:
        change = draw.choice([change_value, change_bytes]) if path.suffix == ".json" else change_bytes
        path.write_bytes(change(draw, path.read_bytes()))
    elif kind == 1:
        path.unlink()
        path.symlink_to(draw.choice(["/dev/zero", "/dev/stdin", outside / "secret", "/no/such/file", path]))
    elif kind == 2:
        path.unlink()
        os.mkfifo(path)
    elif kind == 3:
        os.truncate(path, 2**40)  # sparse
    elif kind == 4:
        shutil.rmtree(files)
        files.symlink_to(outside, target_is_directory=True)
    elif kind == 5:
        (files / "config.yaml").write_text(
            draw.choice(["[]", "5", "run: 7", "run: {study: [a]}", "~", "\0", "{" * 900])
        )
    elif kind == 6:
        path.unlink()
        path.mkdir()
    elif kind == 7:
        (files / "record.json").write_bytes(without_checksum(change_value(draw, (files / "record.json").read_bytes())))
    else:
        config = yaml.safe_load((files / "config.yaml").read_text())
        config["run"]["study"] = draw.choice(VALUES)
        (files / "config.yaml").write_text(json.dumps(config))


def imports(finished: Trial, tmp_path: Path, count: int, seed: int) -> None:
    draw, source, outside = random.Random(seed), tmp_path / "offline", tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("a secret of the user\n")
    shutil.copy(finished.record.folder / "record.json", outside)
    shutil.copy(finished.record.folder / "config.yaml", outside)
    for number in range(count):
        run = source / f"offline-run-{number:04d}"
        run.mkdir(parents=True)
        (run / "run.wandb").touch()
        shutil.copytree(
            finished.record.folder, run / "files", ignore=shutil.ignore_patterns("checkpoints", "*.safetensors", "lock")
        )
        key = f"{number:016x}"
        content = finished.record.read()
        content["key"] = key
        Record(run, "files").write(content)
        if number:
            spoil(draw, run / "files", outside)
    taken, left = import_runs(str(source), tmp_path / "back", "s")
    assert len(taken) + len(left) == count
    assert any("0" * 16 in line for line in taken)
    assert not any(finished.record.key in line for line in taken)  # the record outside
    assert all("\n" not in line for line in (*taken, *left))
    copies = [path for path in (tmp_path / "back").rglob("*") if path.is_file()]
    assert all(path.stat().st_size < 10**6 and b"secret" not in path.read_bytes() for path in copies)
    assert not any(path.is_symlink() for path in (tmp_path / "back").rglob("*"))
    read_study("s", tmp_path / "back")
    read_standings("s", tmp_path / "back")


def test_a_spoilt_run_is_left_out_of_an_import(finished, tmp_path) -> None:
    imports(finished, tmp_path, 100, SEED)


@pytest.mark.slow
def test_ten_times_as_many_spoilt_runs(finished, tmp_path) -> None:
    imports(finished, tmp_path, 1000, SEED + 1)
