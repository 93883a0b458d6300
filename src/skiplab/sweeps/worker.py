"""Runs trials in a worker, which reads once what all trials of a sweep share."""

import pickle
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from skiplab.configuration.containers import pop_hydra
from skiplab.errors import Interrupted, SkiplabError
from skiplab.records.key import trial_key
from skiplab.records.plain_config import plain
from skiplab.records.record import Record
from skiplab.sweeps.forked_process import in_fork
from skiplab.sweeps.isolated import Isolated
from skiplab.sweeps.job import Job
from skiplab.sweeps.watch_parent import watch_parent

_FORKS = sys.platform == "linux"  # elsewhere it is unsafe


@dataclass(frozen=True)
class Shared:
    """What all trials of a sweep share.

    context: Hydra's, with what composes a trial.
    config: the configuration of the sweep.
    task: what Hydra calls with the configuration of a trial.
    isolated: runs it apart from the worker.
    singletons: Hydra's, as they are in the process of the sweep.
    """

    context: HydraContext
    config: DictConfig
    task: TaskFunction
    isolated: Isolated
    singletons: dict[Any, Any]

    def write(self, path: Path) -> None:
        path.write_bytes(cloudpickle.dumps(self))  # resolvers may be lambdas, which pickle refuses


def start_worker(sweep: int) -> None:
    """What a new worker calls first: it ends soon after the process of its sweep, and starts no threads to compute.

    Those would be missing in the trials that it forks, where OpenMP waits for them without end. A trial starts its own.
    """
    import torch  # which the process of the sweep does without

    watch_parent(sweep)
    torch.set_num_threads(1)


def check_in_worker(check: Callable[[Job], None], job: Job) -> None:
    """Check a trial in a worker; one that names code of others in a process of its own.

    Others' code may start threads when it is built, which would be missing in the trials that the worker forks later.
    What skiplab's own code does once in a process, those trials find done.

    Raises:
        DiedError: the process died.
    """
    from skiplab.training.warm import is_of_own_code, warm_for_every_trial

    if not _FORKS or is_of_own_code(plain(job.config, resolve=False)):
        check(job)
    else:
        warm_for_every_trial()  # else each process would import it
        in_fork(partial(check, job))


def run_shared(path: Path, index: int, overrides: Sequence[str]) -> JobReturn:
    """Run one trial of a sweep, as Hydra does, and apart from this worker where forking is safe.

    Args:
        path: where the sweep wrote what its trials share.
        index: of the trial within the sweep.
        overrides: the trial's own.

    Returns:
        What the task returned or raised, without the configurations.
    """
    shared = _read(path)
    config = shared.context.config_loader.load_sweep_config(shared.config, list(overrides))
    with open_dict(config):
        config.hydra.job.id = f"{config.hydra.job.name}_{index}"
        config.hydra.job.num = index
    trial = partial(_run, path, config, configure_logging=not _logs_alike(path))
    if not _FORKS:
        return trial()
    settings = plain(config, resolve=False)
    del settings["hydra"]
    try:
        return shared.isolated.run(trial, settings, partial(_record, config))
    except SkiplabError as error:
        return JobReturn(status=JobStatus.FAILED, _return_value=error)


def _run(path: Path, config: DictConfig, *, configure_logging: bool) -> JobReturn:
    shared = _read(path)
    result = run_job(
        hydra_context=shared.context,
        config=config,
        task_function=partial(_told, shared.task),
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
        configure_logging=configure_logging,
    )
    result.cfg = result.hydra_cfg = None  # nobody reads them, and they take longer to send than the result
    return result


def _told(task: TaskFunction, config: DictConfig) -> Any:
    """What the task returns; any error is told in a sentence, which can be sent to another process."""
    try:
        return task(config)
    except SkiplabError:
        raise
    except Interrupted as interrupted:
        raise SkiplabError(f"interrupted by {interrupted}; run the same command again to resume it") from None
    except Exception as error:
        raise SkiplabError(f"{type(error).__name__}: {error}") from None


def _record(config: DictConfig) -> Record:
    """The record of the trial that Hydra composed."""
    HydraConfig.instance().set_config(config)  # a setting may refer to Hydra's own
    pop_hydra(config)
    return Record(Path(config.run.runs_dir), trial_key(config))


@lru_cache(maxsize=1)  # a worker that is used again is done with the sweep before
def _read(path: Path) -> Shared:
    setup_globals()
    shared: Shared = pickle.loads(path.read_bytes())
    Singleton.set_state(shared.singletons)
    return shared


@lru_cache(maxsize=1)  # as above
def _logs_alike(path: Path) -> bool:
    """Whether all trials of a sweep log in the same way; if so, this process logs in that way from now on."""
    hydra = _read(path).config.hydra
    if "${" in repr(OmegaConf.to_container(hydra.job_logging, resolve=False)):
        return False
    configure_log(hydra.job_logging, hydra.verbose)
    return True
