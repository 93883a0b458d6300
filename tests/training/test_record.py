"""A record survives full disks, killed writers and foreign files; two processes never share one."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from example_records import write_example
from skiplab.errors import SkiplabError
from skiplab.records.atomic_file import write_atomically
from skiplab.records.file_names import HISTORY
from skiplab.records.record import Record
from skiplab.records.study_list import join_study


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return write_example(tmp_path / "runs", summary={"loss": 0.5})


def full_disk(*arguments) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_update_keeps_other_fields_and_is_read_back(record) -> None:
    record.update(status="done")
    content = record.read()
    assert (content["key"], content["status"], content["summary"]) == (record.key, "done", {"loss": 0.5})


def test_what_is_not_finite_is_null(record) -> None:
    record.update(summary={"loss": float("nan")}, details={"list": [float("inf"), 1.0]})
    assert record.read()["summary"] == {"loss": None}
    assert record.read()["details"] == {"list": [None, 1.0]}


@pytest.mark.parametrize("broken", ["os.fsync", "pathlib.Path.replace"])
def test_a_full_disk_leaves_the_old_content(broken: str, record, monkeypatch) -> None:
    before = (record.folder / "record.json").read_bytes()
    monkeypatch.setattr(broken, full_disk)
    with pytest.raises(OSError, match="No space left"):
        record.update(status="done")
    assert (record.folder / "record.json").read_bytes() == before
    assert [path.name for path in record.folder.iterdir()] == ["record.json"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    seen = []
    monkeypatch.setattr(os, "fsync", lambda handle: seen.append(path.read_bytes()))
    write_atomically(path, b"new")
    assert seen == [b"old"]
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"key": "another", "status": "done"}', '{"key": "0123456789abcdef"}']
)
def test_a_corrupt_record_is_named_and_left_alone(content: str, record) -> None:
    path = record.folder / "record.json"
    path.write_text(content)
    for use in (record.read, lambda: record.update(status="done")):
        with pytest.raises(SkiplabError) as refused:
            use()
        assert str(path) in str(refused.value)
        assert "nothing was changed" in str(refused.value)
    assert path.read_text() == content


def test_no_record_is_empty(tmp_path: Path) -> None:
    record = Record(tmp_path, "0123456789abcdef")
    assert record.read_if_any() is None
    assert record.status is None
    with pytest.raises(SkiplabError, match=r"has no record.json; train the trial first"):
        record.read()


@pytest.mark.parametrize(
    ("torn", "kept"),
    [
        (b"step,metric,value\n0,loss,1.5\n1,lo", b"step,metric,value\n0,loss,1.5\n"),
        (b"step,metric,value\n0,loss,1.5\n", b"step,metric,value\n0,loss,1.5\n"),
        (b"step,me", b"step,metric,value\n"),
        (b"", b"step,metric,value\n"),
    ],
)
def test_a_torn_line_is_cut_off(torn: bytes, kept: bytes, record) -> None:
    path = record.folder / "history.csv"
    path.write_bytes(torn)
    table = record.append_to(HISTORY)
    table.append([(1, "loss", 2.25)])
    table.close()
    assert path.read_bytes() == kept + b"1,loss,2.25\n"


def test_rows_are_readable_at_once_and_exact(record) -> None:
    table = record.append_to(HISTORY)
    table.append([(0, "loss", 0.1 + 0.2), (1, "a, b", 1e-300)])
    rows = (record.folder / "history.csv").read_text().splitlines()
    table.close()
    assert float(rows[1].split(",")[-1]) == 0.1 + 0.2
    assert rows[2] == '1,"a, b",1e-300'


def test_a_second_process_is_told_who_holds_the_trial(record) -> None:
    program = (
        "import sys; from pathlib import Path; from skiplab.records.record import Record\n"
        f"with Record(Path({str(record.runs_dir)!r}), {record.key!r}).locked():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"held\n"
        with (
            pytest.raises(SkiplabError, match=f"{record.key} is being trained by process {owner.pid} on "),
            record.locked(),
        ):
            pass
        owner.kill()
    with record.locked():  # the system released it
        pass


def test_set_aside_loses_nothing(record) -> None:
    (record.folder / "weights.safetensors").write_bytes(b"weights")
    with record.locked():
        record.set_aside()
    (kept,) = (record.runs_dir / "replaced").iterdir()
    assert kept.name.startswith(f"{record.key}-")
    assert (kept / "weights.safetensors").read_bytes() == b"weights"
    assert (kept / "record.json").exists()
    assert [path.name for path in record.folder.iterdir()] == ["lock"]


def test_a_study_lists_each_trial_once(tmp_path: Path) -> None:
    join_study(tmp_path, "mine", ["a", "b", "a"])
    join_study(tmp_path, "mine", ["b", "c"])
    assert (tmp_path / "studies" / "mine" / "keys.txt").read_text().split() == ["a", "b", "c"]


def test_a_key_that_a_killed_process_tore_is_cut_off(tmp_path: Path) -> None:
    join_study(tmp_path, "mine", ["aaaa", "bbbb"])
    path = tmp_path / "studies" / "mine" / "keys.txt"
    path.write_text(path.read_text()[:-3])
    join_study(tmp_path, "mine", ["bbbb", "cccc"])
    assert path.read_text() == "aaaa\nbbbb\ncccc\n"


def test_what_a_killed_process_had_begun_to_write_is_cleared_away(record) -> None:
    record.checkpoints.mkdir()
    for path in (record.folder / ".record.json.4711", record.checkpoints / ".step=4.ckpt.4711"):
        path.write_bytes(b"half")
    with record.locked():
        pass
    assert not list(record.folder.rglob(".*"))


@pytest.mark.parametrize("study", ["", ".", "..", "a/b", "/etc", ".hidden"])
def test_a_study_is_one_folder_name(study: str, tmp_path: Path) -> None:
    with pytest.raises(SkiplabError, match="valid: one folder name"):
        join_study(tmp_path, study, ["a"])
    assert not list(tmp_path.iterdir())
