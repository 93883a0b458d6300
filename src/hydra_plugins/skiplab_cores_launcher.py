"""Workers of joblib, one per core or GPU, with each trial in a process of its own."""

import os
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class SkiplabCoresLauncher(Launcher):
    """As many workers as the machine can run, and trials that end on a signal.

    It does what Hydra's joblib launcher does, but that a worker reads what all trials share once, not with each trial.

    A trial on CPU gets `num_threads` cores for each of its processes. A trial on GPUs gets one for each of its
    processes and sees no others. If a trial is killed, it is reported and the others continue.

    Args:
        workers: how many trials run at once, at least 1; None for one per core, or as many as fit on the GPUs.
        trials_per_gpu: how many trials share a GPU, at least 1; small networks leave most of it idle.

    Raises:
        SkiplabError: an argument is out of range.
    """

    def __init__(self, *, workers: int | None, trials_per_gpu: int) -> None:
        for name, value, is_valid, valid in (
            ("workers", workers, workers is None or _is_count(workers), "a whole number from 1, or null"),
            ("trials_per_gpu", trials_per_gpu, _is_count(trials_per_gpu), "a whole number from 1"),
        ):
            if not is_valid:
                from skiplab.errors import SkiplabError

                raise SkiplabError(f"hydra.launcher.{name}={value} is invalid; valid: {valid}")
        self.workers, self.trials_per_gpu = workers, trials_per_gpu

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.task, self.config = hydra_context, task_function, config

    def run(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Check trials, the items, by a function, in the workers.

        Raises:
            SkiplabError: the system can't start the workers.
            Interrupted: a signal ended the sweep and its workers.
        """
        from joblib.externals.loky.process_executor import BrokenProcessPool

        from skiplab.errors import SkiplabError
        from skiplab.interruption import interruptible
        from skiplab.sweeps.forked_process import DiedError
        from skiplab.sweeps.limits import within_limits
        from skiplab.sweeps.worker import check_in_worker

        num_workers = self._num_workers(len(items))
        with interruptible(), within_limits(num_workers):
            try:
                return _in_workers(num_workers, check_in_worker, [(function, item) for item in items])
            except (BrokenProcessPool, DiedError) as error:
                raise SkiplabError(
                    "a worker ended while trials were checked, probably because memory ran out, or the number of "
                    "processes (ulimit -u, pids.max of a cgroup); nothing was trained; run the command again with "
                    f"fewer than {num_workers} workers (hydra.launcher.workers=2)"
                ) from error

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs.

        Raises:
            SkiplabError: the system can't start the workers.
            WorkersLostError: a worker was killed, rather than a trial; the records hold what was done.
            Interrupted: a signal ended the sweep and its trials.
        """
        from joblib.externals.loky.process_executor import BrokenProcessPool

        from skiplab.interruption import interruptible
        from skiplab.sweeps.isolated import Isolated
        from skiplab.sweeps.limits import within_limits
        from skiplab.sweeps.rounds import WorkersLostError
        from skiplab.sweeps.worker import Shared, run_shared

        configure_log(self._own_config.hydra.hydra_logging, self._own_config.hydra.verbose)
        num_workers = self._num_workers(len(job_overrides))
        with within_limits(num_workers), TemporaryDirectory(prefix="skiplab-sweep-") as folder:
            going_on, shared = Path(folder) / "going_on", Path(folder) / "shared.pickle"
            going_on.touch()
            isolated = Isolated(os.getpid(), going_on, self._turn(Path(folder) / "turn"))
            Shared(self.context, self._own_config, self.task, isolated, Singleton.get_state()).write(shared)
            jobs = [(shared, index, words) for index, words in enumerate(job_overrides, start=initial_job_idx)]
            with interruptible(when_heard=lambda: going_on.unlink(missing_ok=True)) as interruption:
                interruption.patient = True  # until the trials have ended
                try:
                    returns = _in_workers(num_workers, run_shared, jobs)
                except BrokenProcessPool as error:
                    interruption.check()
                    raise WorkersLostError from error
                interruption.check()
        return returns

    def _num_workers(self, num_tasks: int) -> int:
        """At least two: joblib would run a single one in the process of the sweep."""
        return max(2, min(self._at_once, num_tasks))

    @cached_property
    def _at_once(self) -> int:
        import joblib

        fed = self.trials_per_gpu * len(self._devices) or joblib.cpu_count() // self._whole("num_threads")
        return self.workers or max(1, fed // self._processes)

    @cached_property
    def _devices(self) -> list[str]:
        from skiplab.sweeps.devices import visible_devices

        return visible_devices() if OmegaConf.select(self._own_config, "trainer.accelerator") == "gpu" else []

    @cached_property
    def _processes(self) -> int:
        return self._whole("trainer.devices")

    def _whole(self, name: str) -> int:
        """A setting of the sweep's own configuration; 1 if it is missing or will be refused."""
        value = OmegaConf.select(self._own_config, name)
        return value if isinstance(value, int) and value > 0 else 1

    @property
    def _own_config(self) -> DictConfig:
        assert self.config is not None  # Hydra calls setup first
        return self.config

    def _turn(self, turn: Path) -> Callable[[], Any]:
        """What a trial waits for before it starts; the file is locked where one runs at a time."""
        from skiplab.sweeps.devices import on_devices, one_at_a_time, without_waiting

        if self._devices:
            return partial(on_devices, self._devices, self._processes, self.trials_per_gpu)
        return without_waiting if self._at_once > 1 else partial(one_at_a_time, turn)


def _in_workers(num_workers: int, function: Callable[..., Any], items: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The function's results for each tuple of arguments, in workers that are kept for the next call."""
    import joblib

    from skiplab.sweeps.worker import start_worker

    tasks = (joblib.delayed(function)(*item) for item in items)
    started = {"initializer": start_worker, "initargs": (os.getpid(),)}
    # its annotation of batch_size is that of the default, "auto"
    parallel = joblib.Parallel(n_jobs=num_workers, backend="loky", batch_size=1, **started)  # pyright: ignore[reportArgumentType]
    return list(parallel(tasks))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
