import json
import os
import shutil

import pandas as pd
import pytest
from pyarrow import parquet

from example_records import write_example
from skiplab.analysis.study import study as runs_module
from skiplab.analysis.study import study_cache
from skiplab.analysis.study.study import read_study
from skiplab.records.read_records import read_records


def same(a, b):
    pd.testing.assert_frame_equal(a.trials, b.trials)
    for name in (
        "missing",
        "factors",
        "constants",
        "metrics",
        "charts",
        "measured_by",
        "first_starts",
        "tuned",
        "problems",
        "files",
    ):
        assert getattr(a, name) == getattr(b, name), name
    assert list(a.records.items()) == list(b.records.items())


@pytest.fixture
def read_anew(monkeypatch):
    """A cached study is read without a look at its records."""

    def read(folder, *, allowed):
        def refuse(*_):
            raise AssertionError("the records were read again")

        with monkeypatch.context() as patch:
            if not allowed:
                patch.setattr(runs_module, "read_records", refuse)
            return read_study("s", folder)

    return read


def test_the_second_read_says_the_same_without_reading_records(runs, fill, read_anew):
    fill(effect=0.1, num_seeds=2, series=True)
    runs.trial(seed=7, status="failed", factors={"wide": "[1, 2]"})
    runs.trial(seed=8, status="diverged", choices={"connection": "rezero"}, factors={"flag": True})
    runs.trial(seed=9, missing={"frechet_distance": "it came out as nan"})
    begun = runs.trial(seed=10, provenance={"started": "2026-01-02T05:04:05+02:00"})
    runs.list_key("s", "0" * 16)  # never begun
    runs.list_key("s", "no key")
    first = read_anew(runs.folder, allowed=True)
    second = read_anew(runs.folder, allowed=False)
    assert len(first.problems) == 2
    assert second.first_starts[begun] == "2026-01-02T03:04:05+00:00"
    same(first, second)


@pytest.mark.parametrize("change", ["record", "new trial", "gone", "tuned"])
def test_any_change_is_read(runs, fill, change):
    fill(effect=0.1, num_seeds=2)
    before = read_study("s", runs.folder)
    key = before.trials["key"][0]
    path = runs.folder / key / "record.json"
    if change == "record":
        record = json.loads(path.read_text())
        record["summary"]["skill_train"] = 0.123
        path.with_suffix(".new").write_text(json.dumps(record))
        os.replace(path.with_suffix(".new"), path)
        assert read_study("s", runs.folder).trials["skill_train"][0] == 0.123
    elif change == "new trial":
        runs.trial(seed=99, summary={"skill_train": 0.5})
        assert len(read_study("s", runs.folder).trials) == len(before.trials) + 1
    elif change == "gone":
        shutil.rmtree(runs.folder / key)
        after = read_study("s", runs.folder)
        assert len(after.trials) == len(before.trials) - 1
        assert "its folder is missing" in after.problems[0].reason
    else:
        (before.folder / "tuned.yaml").write_text("nothing")
        assert "tuned.yaml" in read_study("s", runs.folder).problems[0].where


def test_a_cache_that_is_none_is_made_anew(runs, fill):
    fill(effect=0.1, num_seeds=1)
    first = read_study("s", runs.folder)
    (first.folder / "cache.parquet").write_bytes(b"PAR1 nothing PAR1")
    same(first, read_study("s", runs.folder))


def test_the_parts_of_a_large_study_are_never_copied(runs, fill, monkeypatch):
    """pandas copies a frame's attributes deeply with each operation, for thousands of trials longer than it reads."""
    fill(effect=0.1, num_seeds=1)
    copied = []
    monkeypatch.setattr("pandas.core.generic.deepcopy", lambda attributes: copied.append(attributes) or attributes)
    for _ in ("from the records", "from the cache"):
        assert len(read_study("s", runs.folder).trials) == 12
    assert not any(copied)


def test_metadata_of_the_cache_stays_small(runs, fill):
    """A reader refuses metadata of more than 100 MB, so a million trials may have 100 bytes each."""
    sizes = []
    for num_seeds in (1, 3):
        fill(effect=0.1, num_seeds=num_seeds, series=True)
        study = read_study("s", runs.folder)
        metadata = parquet.read_metadata(study.folder / "cache.parquet").metadata
        sizes.append((len(study.trials), sum(map(len, metadata.values()))))
    (few, small), (many, large) = sizes
    assert many == 3 * few
    assert large - small < 100 * (many - few)


def test_a_folder_that_cannot_be_written_is_read_all_the_same(runs, fill, monkeypatch):
    fill(effect=0.1, num_seeds=1)

    def refuse(*_, **__):
        raise PermissionError("read-only")

    monkeypatch.setattr(study_cache, "write_atomically", refuse)
    study = read_study("s", runs.folder)
    assert len(study.trials) == 12
    assert not list(study.folder.glob("cache*"))


def test_records_share_what_is_equal_in_them_and_nothing_else(tmp_path):
    declared = {"loss_val": {"label": "loss", "direction": "lower", "scale": "linear"}}
    settings = [{"own": {"every_n_steps": value}} for value in (1, 1, 1.0, True)]
    keys = [f"{number:016x}" for number in range(len(settings))]
    for key, instruments in zip(keys, settings, strict=True):
        write_example(tmp_path, key, metrics=declared, instruments=instruments)
    records, _ = read_records(tmp_path, keys)
    assert len({id(record["metrics"]) for record in records.values()}) == 1
    assert len({id(record["instruments"]) for record in records.values()}) == 3
    assert [json.dumps(record["instruments"]) for record in records.values()] == list(map(json.dumps, settings))
