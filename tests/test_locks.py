"""Locks are taken in one place; a file system that has none is named, and nothing is begun on it."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

import skiplab
from skiplab.cli import main
from skiplab.errors import SkiplabError
from skiplab.records.locks import acquire
from skiplab.records.record import Record
from skiplab.records.study_list import join_study
from skiplab.sweeps.devices import on_devices, one_at_a_time
from tiny_trials import TINY

KEY = "0123456789abcdef"


@pytest.fixture(params=[errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def folder(request, tmp_path: Path, monkeypatch) -> Path:
    """On a file system without locks, as the system tells it."""
    real = fcntl.flock

    def flock(file, kind: int) -> None:
        if os.readlink(f"/proc/self/fd/{file.fileno()}").startswith(str(tmp_path)):
            raise OSError(request.param, os.strerror(request.param))
        real(file, kind)

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _join(folder: Path) -> AbstractContextManager:
    join_study(folder, "mine", [KEY])
    return nullcontext()


USES: dict[str, tuple[str, Callable[[Path], AbstractContextManager]]] = {
    "trial": ("run.runs_dir", lambda folder: Record(folder, KEY).locked()),
    "study": ("run.runs_dir", _join),
    "device": ("TMPDIR", lambda folder: on_devices(["0"], 1)),
    "shared device": ("TMPDIR", lambda folder: on_devices(["0"], 1, 2)),
    "turn": ("TMPDIR", lambda folder: one_at_a_time(folder / "turn")),
}


@pytest.mark.parametrize("use", USES)
def test_each_use_names_the_file_system_and_the_remedy(use: str, folder: Path) -> None:
    setting, hold = USES[use]
    with pytest.raises(SkiplabError) as refused, hold(folder):
        pass
    said = str(refused.value)
    assert f"the file system of {folder}" in said
    assert f"set {setting} to a folder on another file system" in said
    assert "\n" not in said


@pytest.mark.parametrize("alone", [True, False], ids=["trial", "sweep"])
def test_a_command_ends_with_one_sentence_before_anything_is_trained(alone: bool, folder: Path, capsys) -> None:
    many = [] if alone else ["-m", "hydra/launcher=basic", "seed=0,1"]
    with pytest.raises(SystemExit) as ended:
        main(["train", *many, *TINY, f"run.runs_dir={folder / 'runs'}"])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "has no locks" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1
    assert not list(folder.rglob("record.json"))


def test_records_are_read_where_nothing_can_be_locked(finished, folder: Path, capsys) -> None:
    copy = Record(folder, finished.record.key)
    copy.folder.mkdir()
    (copy.folder / "record.json").write_bytes((finished.record.folder / "record.json").read_bytes())
    (copy.folder / "lock").touch()
    assert not copy.held
    assert copy.read()["status"] == "done"


def test_another_error_of_the_system_stays_its_own(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as file:
        os.close(file.fileno())
        with pytest.raises(OSError, match="Bad file descriptor"):
            acquire(file, "TMPDIR")
        file = os.open(tmp_path / "lock", os.O_RDONLY)  # for the block to close


def test_a_lock_is_held_until_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as first, path.open("w") as second, path.open("w") as third:
        assert acquire(first, "TMPDIR", shared=True)
        assert acquire(second, "TMPDIR", shared=True)
        assert not acquire(third, "TMPDIR")
        first.close()
        second.close()
        assert acquire(third, "TMPDIR", wait=True)


def test_no_other_module_locks_by_itself() -> None:
    package = Path(skiplab.__file__).parent
    sources = [*package.rglob("*.py"), *package.parent.glob("hydra_plugins/*.py")]
    assert [path.name for path in sources if "fcntl" in path.read_text(encoding="utf-8")] == ["locks.py"]
