"""Files of others are read within bounds, whatever they hold."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from skiplab.analysis.claims.claims import read_claims
from skiplab.analysis.study.study import read_study
from skiplab.analysis.wandb.wandb_import import import_runs
from skiplab.errors import SkiplabError
from skiplab.records.foreign_files import check_yaml, links_out, parse_json, parse_yaml, read_bytes, read_keys, read_own
from skiplab.records.tuned import read_tuned
from skiplab.sweeps.status import read_standings


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def test_json_is_bounded_in_depth_and_numbers() -> None:
    assert parse_json(nested(64)) == json.loads(nested(64))
    assert parse_json(b'{"a": [18446744073709551615, -9223372036854775808, true, 1e400]}')["a"][0] == 2**64 - 1
    for text, message in (
        (nested(66), "nested too deeply"),
        (nested(10**5), "nested too deeply"),
        (str(2**64).encode(), "whole number of 65 bits"),
        (b"9" * 5000, "4300 digits"),
        (b'{"a": ', "Expecting value"),
        (b"\xff", "utf-8"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_json(text)


def test_yaml_counts_what_its_aliases_stand_for() -> None:
    shared = "a: &a [1, 2]\nb: [*a, *a]\n"
    assert parse_yaml(shared.encode()) == {"a": [1, 2], "b": [[1, 2], [1, 2]]}
    bomb = ["a0: &a0 [1, 1]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    merged = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 60))]
    for text, message in (
        ("\n".join(bomb), "once its aliases are written out"),
        ("\n".join(merged), "once its aliases are written out"),
        ("&a [*a]", "within what it stands for"),
        ("[" * 100 + "]" * 100, "nested too deeply"),
        ("[" * 10**4 + "]" * 10**4, "nested too deeply"),
        ("!!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("x" * (2**20 + 1), "valid: up to 1048576"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_yaml(text.encode())


@pytest.mark.parametrize("read", [read_claims, read_tuned])
def test_claims_and_tuned_files_are_bounded(tmp_path, read) -> None:
    bomb = ["a0: &a0 [1, 1]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    for text in ("\n".join(bomb), "[" * 10**4 + "]" * 10**4, "&a [*a]"):
        (tmp_path / "file.yaml").write_text(text)
        with pytest.raises(SkiplabError, match="valid YAML"):
            read(tmp_path / "file.yaml")


def test_a_pipe_a_large_file_and_a_link_out_are_no_files(tmp_path) -> None:
    folder = tmp_path / "record"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "large").write_bytes(b"x" * 11)
    (tmp_path / "secret").write_text("of the user")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "in").symlink_to("large")
    for name, most, message in (
        ("pipe", 10, "it is no file"),
        ("large", 10, "it has 11 bytes; valid: up to 10"),
        ("out", 99, "out of its folder|put a copy in its place"),
    ):
        with pytest.raises(ValueError, match=message):
            read_own(folder / name, most)
    assert read_own(folder / "in", 11) == read_bytes(folder / "large", 11) == b"x" * 11
    assert links_out(folder) == [folder / "out"]
    check_yaml(b"a: 1")


def study(runs_dir: Path, keys: bytes) -> Path:
    folder = runs_dir / "studies" / "mine"
    folder.mkdir(parents=True)
    (folder / "keys.txt").write_bytes(keys)
    return folder


def test_a_list_of_keys_leads_nowhere_else(tmp_path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "record.json").write_text(json.dumps({"key": "../outside", "status": "done"}))
    folder = study(tmp_path / "runs", b"../outside\n" + b"0" * 16 + b"\n\xff\n" + b"0" * 16 + b"\n")
    assert read_keys(folder / "keys.txt") == (["0" * 16], ["../outside", "�"])
    states = [(each.key, each.state) for each in read_standings("mine", tmp_path / "runs")]
    assert states == [("0" * 16, "pending"), ("'../outside'", "unreadable"), ("'�'", "unreadable")]


@pytest.mark.parametrize("content", [{"factors": {}}, {"factors": [1]}, {"choices": 1}, {"provenance": None}])
def test_status_lists_a_record_that_is_none(finished, tmp_path, content) -> None:
    key = finished.record.key
    (tmp_path / key).mkdir()
    (tmp_path / key / "record.json").write_text(json.dumps({**finished.record.read(), **content}))
    study(tmp_path, key.encode())
    assert [each.state for each in read_standings("mine", tmp_path)] == ["unreadable"]


def test_a_study_with_links_out_is_not_written_to(finished, tmp_path) -> None:
    folder = study(tmp_path / "runs", finished.record.key.encode())
    (tmp_path / "kept").write_text("as it was")
    (folder / "table.csv").symlink_to(tmp_path / "kept")
    with pytest.raises(SkiplabError, match=r"table\.csv is a link that leads out of its folder"):
        read_study("mine", tmp_path / "runs")


def test_a_cache_of_another_is_not_read(finished, tmp_path, monkeypatch) -> None:
    folder = study(tmp_path / "runs", finished.record.key.encode())
    pd.DataFrame({"key": ["0" * 16]}).to_parquet(folder / "cache.parquet")

    def forbidden(*arguments, **keywords):
        raise AssertionError("it was read")

    monkeypatch.setattr(pd, "read_parquet", forbidden)
    assert len(read_study("mine", tmp_path / "runs").trials) == 0


def offline_run(source: Path, record: dict, config: str) -> Path:
    files = source / "wandb" / "offline-run-1" / "files"
    files.mkdir(parents=True)
    (files.parent / "run-1.wandb").touch()
    (files / "record.json").write_text(json.dumps(record))
    (files / "config.yaml").write_text(config)
    return files


@pytest.mark.parametrize(
    "config", ["[1]", "run: [1]", "run: 1", "a: &a [*a]", "!!python/object/apply:os.system [x]", ""]
)
def test_an_import_says_what_is_wrong_with_a_configuration(finished, tmp_path, config: str) -> None:
    offline_run(tmp_path / "source", finished.record.read(), config)
    taken, (line,) = import_runs(str(tmp_path / "source"), tmp_path / "runs")
    assert taken == []
    assert line.startswith("offline-run-1: ")
    assert not (tmp_path / "runs").exists()


def test_an_import_takes_no_file_from_out_of_its_source(finished, tmp_path) -> None:
    files = offline_run(tmp_path / "source", finished.record.read(), "run: {study: s}")
    (tmp_path / "secret").write_text("of the user")
    (files / "samples.png").symlink_to(tmp_path / "secret")
    taken, (line,) = import_runs(str(tmp_path / "source"), tmp_path / "runs")
    assert taken == []
    assert "samples.png: it is a link to" in line
    assert not (tmp_path / "runs").exists()


def test_an_import_writes_no_record_that_cannot_be_read(finished, tmp_path) -> None:
    record = {**finished.record.read(), "factors": {"depth": 4}}
    offline_run(tmp_path / "source", record, "run: {study: s}")
    for _ in range(2):  # it isn't 'already there' the second time
        assert "its factors hold no seed" in import_runs(str(tmp_path / "source"), tmp_path / "runs")[1][0]
