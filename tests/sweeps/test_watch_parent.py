"""An idle worker ends soon after its parent was killed, and a busy one lets its trial end first."""

import os
import signal
import time

import pytest

from skiplab.sweeps import watch_parent as watched


@pytest.mark.parametrize("busy_seconds", [0.0, 1.0])
def test_a_worker_outlives_no_parent(monkeypatch, busy_seconds: float) -> None:
    monkeypatch.setattr(watched, "_EVERY_SECONDS", 0.05)
    reader, writer = os.pipe()
    parent = os.fork()
    if parent == 0:
        if os.fork() == 0:  # the worker, which alone keeps the pipe open
            os.close(reader)
            watched.watch_parent(os.getppid())
            with watched.trial_runs():
                os.write(writer, b"begun")
                time.sleep(busy_seconds)
            time.sleep(60)
        os.close(writer)
        time.sleep(60)
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 9) == b"begun"
    os.kill(parent, signal.SIGKILL)
    started = time.monotonic()
    os.waitpid(parent, 0)
    assert os.read(reader, 1) == b""
    os.close(reader)
    assert busy_seconds - 0.5 < time.monotonic() - started < 10


def test_a_worker_without_a_thread_to_watch_ends(monkeypatch) -> None:
    def refuse(thread: object) -> None:
        raise RuntimeError("can't start new thread")

    def end(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(watched.threading.Thread, "start", refuse)
    monkeypatch.setattr(watched.os, "_exit", end)
    with pytest.raises(SystemExit, match="1"):
        watched.watch_parent(1)
