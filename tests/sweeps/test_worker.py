"""A worker runs each trial with its own configuration, and reads what a sweep's trials share once."""

import logging
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig

from option_files import CONF
from skiplab.records.file_names import HISTORY, LAYERS, MEASUREMENTS, WEIGHTS
from skiplab.records.locks import acquire
from skiplab.sweeps import isolated, worker
from skiplab.sweeps.devices import one_at_a_time, without_waiting
from skiplab.sweeps.isolated import Isolated
from skiplab.sweeps.sweep_loader import SweepLoader
from skiplab.sweeps.worker import Shared, run_shared
from skiplab.training.trial import run_trial
from tiny_trials import TINY


def tell(config: DictConfig) -> tuple[Any, ...]:
    job = HydraConfig.get().job
    return config.depth, config.seed, job.num, job.id, os.environ.get("TOLD"), "hydra" in config


def logged(config: DictConfig) -> tuple[int, str]:
    handler = logging.getLogger("job").handlers[0]
    return logging.getLogger("job").level, getattr(handler, "baseFilename", "")


def fail(config: DictConfig) -> None:
    raise ValueError(f"depth {config.depth}")


def pid(config: DictConfig) -> int:
    if config.seed == 13:
        fail(config)
    return os.getpid()


def train(config: DictConfig) -> str:
    outcome = run_trial(config, {}, progress=False)
    assert outcome.status == "done", outcome
    return outcome.key


@contextmanager
def lent() -> Iterator[dict[str, str]]:
    yield {"CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture
def shared(tmp_path) -> Iterator[Callable[..., Path]]:
    """Writes what the trials of a sweep share."""
    before = Singleton.get_state()
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()

        def write(name: str, task: Callable[[DictConfig], Any], *more: str, turn=without_waiting) -> Path:
            words = ["experiment=residual_in_diffusion/quick", *TINY, "+hydra.job.env_set.TOLD=yes", *more]
            config = compose("train", overrides=words, return_hydra_config=True)
            context = HydraContext(SweepLoader(loader), Callbacks())  # pyright: ignore[reportArgumentType]
            path, going_on = tmp_path / name, tmp_path / "going_on"
            going_on.touch()
            apart = Isolated(os.getppid(), going_on, turn)
            Shared(context, config, task, apart, Singleton.get_state()).write(path)
            return path

        yield write
    Singleton.set_state(before)
    for signum, handler in handlers.items():
        signal.signal(signum, handler)  # a worker ignores them


@pytest.mark.parametrize("forks", [True, False])
def test_each_trial_has_its_own_configuration_and_hydras_settings(shared, monkeypatch, forks: bool) -> None:
    monkeypatch.setattr(worker, "_FORKS", forks)
    path = shared("one", tell)
    results = [run_shared(path, index, [f"depth={depth}", "seed=3"]) for index, depth in ((4, 8), (5, 16))]
    assert [result.return_value for result in results] == [
        (8, 3, 4, "app_4", "yes", False),
        (16, 3, 5, "app_5", "yes", False),
    ]
    assert "TOLD" not in os.environ


def test_what_is_shared_is_read_once_and_anew_for_another_sweep(shared) -> None:
    one = shared("one", tell)
    run_shared(one, 0, ["seed=1"])
    one.unlink()
    assert run_shared(one, 1, ["seed=2"]).return_value[1] == 2
    result = run_shared(shared("another", fail), 0, ["seed=1", "depth=8"])
    assert result.status is JobStatus.FAILED
    assert str(result._return_value) == "ValueError: depth 8"


def test_a_result_is_small(shared) -> None:
    result = run_shared(shared("one", tell), 0, ["seed=1"])
    assert isinstance(result, JobReturn)
    assert len(pickle.dumps(result)) < 1000  # with the configurations it had 20,000 bytes


def test_logs_are_as_configured_for_the_sweep_or_for_each_trial(shared, tmp_path, monkeypatch) -> None:
    """Hydra's own configuration of logs writes a file for each job, by its name."""
    words = [
        f"+hydra.job_logging.{setting}"
        for setting in (
            "loggers.job={level:DEBUG,handlers:[file]}",
            "handlers.file.class=logging.FileHandler",
        )
    ]
    for name, place, files in (
        ("alike", "log", ["log", "log"]),
        ("apart", "'${hydra.job.num}.log'", ["0.log", "1.log"]),
    ):
        monkeypatch.chdir(tmp_path)
        path = shared(name, logged, *words, f"+hydra.job_logging.handlers.file.filename={place}")
        found = [run_shared(path, index, [f"seed={index}"]).return_value for index in (0, 1)]
        assert found == [(logging.DEBUG, str(tmp_path / file)) for file in files]
    for handler in logging.getLogger("job").handlers[:]:
        handler.close()
        logging.getLogger("job").removeHandler(handler)


def pids(path: Path, *seeds: int, words: tuple[str, ...] = ()) -> list[Any]:
    return [run_shared(path, index, [f"seed={seed}", *words])._return_value for index, seed in enumerate(seeds)]


def test_short_trials_that_end_well_share_a_process(shared, monkeypatch) -> None:
    path = shared("one", pid)
    first, second, failure, third, fourth = pids(path, 1, 2, 13, 3, 4)
    assert first == second != third == fourth
    assert os.getpid() not in (first, third)
    assert "depth" in str(failure)
    assert pids(shared("another", pid), 1) != [fourth]
    monkeypatch.setattr(isolated, "_OLD_SECONDS", 0.0)
    assert len(set(pids(path, 5, 6, 7))) == 3


def test_a_process_that_died_while_it_waited_is_replaced(shared) -> None:
    path = shared("one", pid)
    (first,) = pids(path, 1)
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert pids(path, 2) != [first]


def test_a_process_that_waits_for_its_next_trial_keeps_no_turn(shared, tmp_path) -> None:
    path = shared("one", pid, turn=partial(one_at_a_time, tmp_path / "turn"))
    (first,) = pids(path, 1)
    with (tmp_path / "turn").open("wb") as file:
        assert acquire(file, "TMPDIR")
    assert pids(path, 2) == [first]


def test_a_trial_with_a_device_or_with_code_of_others_has_its_own_process(shared) -> None:
    assert len(set(pids(shared("device", pid, turn=lent), 1, 2, 3))) == 3
    path = shared("code", pid)
    (before,) = pids(path, 1)
    others = pids(path, 2, 3, words=("+own={_target_: json.JSONDecoder}",))
    assert len({before, *others, *pids(path, 4)}) == 4


def test_trials_that_share_a_process_have_the_results_of_trials_that_do_not(shared, monkeypatch, tmp_path) -> None:
    trials = (
        ["connection=plain"],
        ["connection=stochastic_depth"],
        ["connection=identity", "long_skip=none", "backbone=isotropic"],
    )
    found = {}
    for name, seconds in (("together", 1000.0), ("apart", 0.0)):
        monkeypatch.setattr(isolated, "_OLD_SECONDS", seconds)
        runs_dir = tmp_path / f"{name}-runs"
        path, common = shared(name, train), [*TINY, f"run.runs_dir={runs_dir}"]
        keys = [run_shared(path, index, [*common, *words]).return_value for index, words in enumerate(trials)]
        names = (WEIGHTS, HISTORY.file, LAYERS.file, MEASUREMENTS.file)
        found[name] = {(key, file): (runs_dir / key / file).read_bytes() for key in keys for file in names}
    assert len(found["apart"]) == 12
    assert found["together"] == found["apart"]
