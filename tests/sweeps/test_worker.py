"""A worker runs each trial with its own configuration, and reads what a sweep's trials share once."""

import logging
import os
import pickle
from collections.abc import Callable, Iterator
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
from skiplab.sweeps.sweep_loader import SweepLoader
from skiplab.sweeps.worker import Shared, run_shared
from tiny_trials import TINY


def tell(config: DictConfig) -> tuple[Any, ...]:
    job = HydraConfig.get().job
    return config.depth, config.seed, job.num, job.id, os.environ.get("TOLD"), "hydra" in config


def logged(config: DictConfig) -> tuple[int, str]:
    handler = logging.getLogger("job").handlers[0]
    return logging.getLogger("job").level, getattr(handler, "baseFilename", "")


def fail(config: DictConfig) -> None:
    raise ValueError(f"depth {config.depth}")


@pytest.fixture
def shared(tmp_path) -> Iterator[Callable[..., Path]]:
    """Writes what the trials of a sweep share."""
    before = Singleton.get_state()
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()

        def write(name: str, task: Callable[[DictConfig], Any], *more: str) -> Path:
            words = ["experiment=residual_in_diffusion/quick", *TINY, "+hydra.job.env_set.TOLD=yes", *more]
            config = compose("train", overrides=words, return_hydra_config=True)
            context = HydraContext(SweepLoader(loader), Callbacks())  # pyright: ignore[reportArgumentType]
            path = tmp_path / name
            Shared(context, config, task, Singleton.get_state()).write(path)
            return path

        yield write
    Singleton.set_state(before)


def test_each_trial_has_its_own_configuration_and_hydras_settings(shared) -> None:
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
    assert str(result._return_value) == "depth 8"


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
