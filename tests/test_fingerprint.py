"""What files hold, by names and contents: read once, known again anywhere, and never taken for others."""

import errno
import hashlib
import os
import shutil
from pathlib import Path

import pytest

from skiplab.errors import SkiplabError
from skiplab.records import fingerprint as module
from skiplab.records.fingerprint import file_hashes, fingerprint, looked_at_once


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in (("a/one.txt", "1"), ("a/two.txt", "2"), ("b.txt", "3")):
        (tmp_path / "here" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / name).write_text(content)
    return tmp_path / "here"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose contents are read, in order."""
    files, original = [], hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda file, name: files.append(file.name) or original(file, name))
    return files


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change counts as one of long ago."""
    monkeypatch.setattr(module, "_TICK_NS", -(10**18))


def test_hashes_are_those_of_the_contents_by_relative_name(folder: Path) -> None:
    expected = {"a/one.txt": b"1", "a/two.txt": b"2", "b.txt": b"3"}
    assert file_hashes(folder) == {name: hashlib.sha256(content).hexdigest() for name, content in expected.items()}
    assert file_hashes(folder / "b.txt") == {"": hashlib.sha256(b"3").hexdigest()}


def test_a_copy_is_the_same_wherever_it_lies_and_whenever_it_was_made(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "renamed")
    os.utime(copy / "b.txt", (1, 1))
    (copy / ".DS_Store").write_text("hidden")
    (copy / ".ipynb_checkpoints").mkdir()
    (copy / ".ipynb_checkpoints" / "one.txt").write_text("hidden")
    assert fingerprint(copy) == fingerprint(folder)
    (tmp_path / "link").symlink_to(copy)
    assert fingerprint(tmp_path / "link") == fingerprint(folder)
    shutil.copy(folder / "b.txt", tmp_path / "other_name")
    assert fingerprint(tmp_path / "other_name") == fingerprint(folder / "b.txt")


@pytest.mark.parametrize("change", ["content", "name", "added", "removed", "folder"])
def test_other_files_are_others(change: str, folder: Path) -> None:
    before = fingerprint(folder)
    if change == "content":
        (folder / "b.txt").write_text("4")
    elif change == "added":
        (folder / "c.txt").write_text("")
    elif change == "removed":
        (folder / "b.txt").unlink()
    else:
        (folder / "b.txt").rename(folder / ("c.txt" if change == "name" else "a/b.txt"))
    assert fingerprint(folder) != before


def test_contents_are_read_once_also_by_later_processes(folder: Path, read, settled, monkeypatch) -> None:
    first = fingerprint(folder)
    assert len(read) == 3
    assert fingerprint(folder) == first
    monkeypatch.setattr(module, "_cached", {})  # another process
    assert fingerprint(folder) == first
    assert len(read) == 3
    (folder / "c.txt").write_text("new")
    assert fingerprint(folder) != first
    assert [Path(file).name for file in read[3:]] == ["c.txt"]


def test_a_change_that_keeps_size_and_time_is_seen(folder: Path, settled) -> None:
    before, path = fingerprint(folder), folder / "b.txt"
    old = path.stat()
    while path.stat().st_ctime_ns == old.st_ctime_ns:  # the clock of a file system ticks some hundred times a second
        path.write_text("4")
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (old.st_size, old.st_mtime_ns)
    assert fingerprint(folder) != before


def test_what_changed_a_moment_ago_is_not_trusted_to_be_seen_changing_again(folder: Path, read) -> None:
    fingerprint(folder)
    fingerprint(folder)
    assert len(read) == 6


def test_a_damaged_cache_is_read_over(folder: Path, read, settled, monkeypatch) -> None:
    first = fingerprint(folder)
    kept = module._cache_file(os.path.realpath(folder))
    for damaged in ("{", "[]", '{"b.txt": 1}', '{"b.txt": [[1], 2, 3]}'):
        kept.write_text(damaged)
        monkeypatch.setattr(module, "_cached", {})
        assert fingerprint(folder) == first
    assert len(read) == 15


def test_a_cache_that_cant_be_written_costs_time_alone(folder: Path, settled, monkeypatch, tmp_path) -> None:
    expected = fingerprint(folder)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SKIPLAB_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(module, "_cached", {})
    assert fingerprint(folder) == expected


def test_within_a_sweep_a_place_is_looked_at_once(folder: Path) -> None:
    with looked_at_once():
        before = fingerprint(folder)
        (folder / "b.txt").write_text("other")
        assert fingerprint(folder) == before
        with looked_at_once():  # a trial of the sweep looks anew
            assert fingerprint(folder) != before
    assert fingerprint(folder) != before


def test_links_are_followed_and_come_to_an_end(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "four.txt").write_text("4")
    (folder / "a" / "far").symlink_to(tmp_path / "far")
    (folder / "a" / "again").symlink_to(folder)
    (folder / "nothing").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "pipe")  # whose reader would wait for ever
    found = file_hashes(folder)
    assert list(found) == ["a/again/", "a/far/four.txt", "a/one.txt", "a/two.txt", "b.txt", "nothing"]
    assert found["nothing"] == ""


def test_what_cant_be_read_is_named(folder: Path, monkeypatch) -> None:
    def refuse(file, name):
        raise OSError(errno.EIO, "Input/output error", file.name)

    monkeypatch.setattr(hashlib, "file_digest", refuse)
    with pytest.raises(SkiplabError, match=r"a/one.txt can't be read \(Input/output error\); repair or remove it"):
        fingerprint(folder)
