"""A forked process runs one call after the other, tells how each ended, and outlives nobody who waits for it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from skiplab.sweeps import forked_process
from skiplab.sweeps.forked_process import DiedError, ForkedProcess, in_fork


class TwoWordsError(Exception):
    """Can be pickled, but not read again."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def fail_by(error: str) -> None:
    if error == "unreadable":
        raise TwoWordsError("so", "be it")
    if error == "unwritable":
        raise ValueError(threading.Lock())
    raise ValueError("no")


@pytest.fixture
def process() -> Iterator[ForkedProcess]:
    with closing(ForkedProcess()) as process:
        yield process


def test_one_process_runs_all_calls(process: ForkedProcess) -> None:
    first, second = process.call(os.getpid), process.call(os.getpid)
    assert first == second != os.getpid()
    assert process.call(partial(int, "7")) == 7
    process.close()
    assert not process.alive


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        ("plain", ValueError, "^no$"),
        ("unreadable", RuntimeError, "^TwoWordsError: so be it$"),
        ("unwritable", RuntimeError, "^ValueError: <unlocked _thread.lock"),
    ],
)
def test_an_error_is_raised_here_and_ends_nothing(process: ForkedProcess, error, kind, text) -> None:
    before = process.call(os.getpid)
    with pytest.raises(kind, match=text):
        process.call(partial(fail_by, error))
    assert process.call(os.getpid) == before


def test_the_end_of_the_process_is_told_with_its_status(process: ForkedProcess) -> None:
    for _ in range(2):  # one that has ended takes no call
        with pytest.raises(DiedError) as death:
            process.call(partial(os._exit, 3))
        assert death.value.exitcode == 3
        assert not process.alive


def test_a_signal_is_told_and_whoever_waits_can_send_it(process: ForkedProcess) -> None:
    with pytest.raises(DiedError) as death:
        process.call(partial(time.sleep, 60), lambda running: running.terminate())
    assert death.value.exitcode == -signal.SIGTERM


def leave_a_child(pid: Path) -> None:
    child = os.fork()
    if child == 0:
        time.sleep(20)
        os._exit(0)
    pid.write_text(str(child), encoding="utf-8")


def die_before_a_child(pid: Path) -> None:
    leave_a_child(pid)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_child_that_lives_on_does_not_hide_the_end_of_the_process(process: ForkedProcess, tmp_path) -> None:
    with pytest.raises(DiedError) as death:
        process.call(partial(die_before_a_child, tmp_path / "pid"))
    assert death.value.exitcode == -signal.SIGKILL
    os.kill(int((tmp_path / "pid").read_text(encoding="utf-8")), signal.SIGKILL)  # it is still there


def leave_a_thread(path: Path) -> None:
    threading.Thread(target=lambda: (time.sleep(5), path.touch())).start()


def test_a_thread_that_a_call_has_left_does_not_keep_the_process(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(forked_process, "_END_SECONDS", 0.2)
    with closing(ForkedProcess()) as process:
        process.call(partial(leave_a_thread, tmp_path / "late"))
    assert not process.alive
    assert not (tmp_path / "late").exists()


def test_a_child_that_a_call_has_left_is_not_waited_for(process: ForkedProcess, monkeypatch, tmp_path) -> None:
    process.call(partial(leave_a_child, tmp_path / "pid"))
    monkeypatch.setattr(forked_process, "_END_SECONDS", 1000.0)
    process.close()
    os.kill(int((tmp_path / "pid").read_text(encoding="utf-8")), signal.SIGKILL)  # it is still there


def test_a_process_that_nobody_waits_for_ends_without_a_traceback() -> None:
    code = """
import os, time
from functools import partial
from skiplab.sweeps.forked_process import ForkedProcess
process = ForkedProcess()
process.call(partial(time.sleep, 1), lambda running: os._exit(0))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr == ""


def test_a_single_call_leaves_no_process() -> None:
    pid = in_fork(os.getpid)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


WAITS = """
import os, sys, time
from skiplab.sweeps.forked_process import ForkedProcess
process = ForkedProcess()
print(process.call(os.getpid), flush=True)
if sys.argv[1] == "killed":
    time.sleep(60)
"""


@pytest.mark.parametrize("how", ["ends", "killed"])
def test_it_ends_with_the_process_that_forked_it(how: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", WAITS, how], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert int(parent.stdout.readline()) != parent.pid
    if how == "killed":
        parent.kill()
    # both have the pipe, so it is closed when both have ended
    assert parent.communicate(timeout=20)[0] == ""
    assert parent.returncode == (-signal.SIGKILL if how == "killed" else 0)


def test_what_a_call_prints_is_there_when_it_returns() -> None:
    code = "from skiplab.sweeps.forked_process import *; process = ForkedProcess(); process.call(partial(print, 1))"
    code = f"from functools import partial; {code}; import os; os.write(1, b'2'); process.close()"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n2"
