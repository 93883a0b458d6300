"""A device is held by one trial at a time, on the whole machine, and a dead owner's becomes free."""

import multiprocessing
import os
import signal
import tempfile
import threading
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from hydra_plugins.skiplab_cores_launcher import SkiplabCoresLauncher
from skiplab.errors import SkiplabError
from skiplab.sweeps.devices import on_devices, one_at_a_time, visible_devices, without_waiting


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch) -> None:
    """Locks of this test alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_two_trials_see_different_devices() -> None:
    with on_devices(["3", "GPU-abc"], 1) as first, on_devices(["3", "GPU-abc"], 1) as second:
        assert (first, second) == ({"CUDA_VISIBLE_DEVICES": "3"}, {"CUDA_VISIBLE_DEVICES": "GPU-abc"})


def test_a_trial_of_several_processes_has_several_devices() -> None:
    with on_devices(["0", "1", "2"], 2) as first:
        assert first == {"CUDA_VISIBLE_DEVICES": "0,1"}
        with on_devices(["0", "1", "2"], 1) as second:
            assert second == {"CUDA_VISIBLE_DEVICES": "2"}


def test_trials_that_share_devices_take_the_emptiest() -> None:
    with ExitStack() as trials:
        taken = [trials.enter_context(on_devices(["0", "1"], 1, 2))["CUDA_VISIBLE_DEVICES"] for _ in range(4)]
    assert taken == ["0", "1", "0", "1"]


def _alone() -> AbstractContextManager:
    return on_devices(["0"], 1)


def _shared() -> AbstractContextManager:
    return on_devices(["0"], 1, 2)


def _turn() -> AbstractContextManager:
    return one_at_a_time(Path(tempfile.gettempdir()) / "turn")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (_alone, _alone),
        (_alone, _shared),
        (_shared, _alone),
        (_turn, _turn),
    ],
)
def test_a_second_trial_waits_for_the_first(first, second, monkeypatch) -> None:
    monkeypatch.setattr("skiplab.sweeps.devices._POLL_SECONDS", 0.01)
    begun = threading.Event()

    def wait() -> None:
        with second():
            begun.set()

    with first():
        thread = threading.Thread(target=wait)
        thread.start()
        assert not begun.wait(0.2)
    assert begun.wait(5)
    thread.join()


def test_a_dead_owners_device_is_free() -> None:
    def hold(ready) -> None:
        with on_devices(["0"], 1):
            ready.set()
            signal.pause()

    fork = multiprocessing.get_context("fork")
    ready = fork.Event()
    owner = fork.Process(target=hold, args=(ready,))
    owner.start()
    assert ready.wait(5)
    os.kill(owner.pid, signal.SIGKILL)
    owner.join()
    with on_devices(["0"], 1) as environment:
        assert environment == {"CUDA_VISIBLE_DEVICES": "0"}


def test_without_devices_nothing_is_waited_for() -> None:
    with without_waiting() as first, without_waiting() as second:
        assert first == second == {}


def test_only_what_the_process_may_use_is_visible(monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-abc")
    assert visible_devices() == ["2", "GPU-abc"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_devices() == []


@pytest.mark.parametrize("value", [0, -1, 1.5, "two"])
def test_a_gpu_is_shared_by_whole_trials(value) -> None:
    with pytest.raises(SkiplabError, match=f"trials_per_gpu={value} is invalid; valid: a whole number from 1"):
        SkiplabCoresLauncher(workers=None, trials_per_gpu=value)


@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_a_number_of_workers_that_is_none_is_refused(value) -> None:
    """0 would be taken for null, one per core."""
    with pytest.raises(SkiplabError, match=f"workers={value} is invalid; valid: a whole number from 1, or null"):
        SkiplabCoresLauncher(workers=value, trials_per_gpu=1)


@pytest.mark.parametrize(("shared_by", "workers"), [(1, 2), (3, 6)])
def test_as_many_trials_run_as_the_gpus_have_within_limits(shared_by: int, workers: int, monkeypatch, compose) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    launcher = SkiplabCoresLauncher(workers=None, trials_per_gpu=shared_by)
    launcher.config = compose("trainer=gpu").config
    assert launcher._num_workers(100) == workers
