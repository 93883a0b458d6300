"""joblib's workers, one per core or per GPU, each trial in a process of its own."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
from omegaconf import DictConfig, OmegaConf


class SkiplabCoresLauncher(JoblibLauncher):
    """Hydra's joblib launcher with as many workers as the machine feeds, and trials that end when they are told to.

    A trial on the CPU gets `num_threads` cores for each of its processes, one on GPUs as many as it has processes,
    and sees no others. A trial that is killed is told as such; the others go on.

    Args:
        workers: how many trials run at once, from 1; None for one per core, or as many as the GPUs have room for.
        trials_per_gpu: how many trials share a GPU, from 1; small networks leave most of it idle.

    Raises:
        SkiplabError: where either is below 1.
    """

    def __init__(self, *, workers: int | None, trials_per_gpu: int) -> None:
        super().__init__(batch_size=1)
        for name, value in (("trials_per_gpu", trials_per_gpu), ("workers", 1 if workers is None else workers)):
            if not isinstance(value, int) or value < 1:
                from skiplab.errors import SkiplabError

                raise SkiplabError(f"hydra.launcher.{name}={value} is invalid; valid: a whole number from 1")
        self.workers, self.trials_per_gpu = workers, trials_per_gpu

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.task = task_function

    def run(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """The function of each item, by the workers.

        Raises:
            SkiplabError: there is no room for the workers.
            Interrupted: the sweep was told to stop; its workers are ended.
        """
        import joblib
        from joblib.externals.loky.process_executor import BrokenProcessPool

        from skiplab.errors import SkiplabError
        from skiplab.interruption import interruptible
        from skiplab.sweeps.room import room_for

        num_workers = self._num_workers(len(items))
        with interruptible(), room_for(num_workers):
            try:
                return joblib.Parallel(n_jobs=num_workers, batch_size=1)(
                    joblib.delayed(function)(item) for item in items
                )
            except BrokenProcessPool as error:
                raise SkiplabError(
                    "a worker was killed while trials were checked, as the system does when memory runs out; nothing "
                    f"was trained; run the same command again, or with fewer than {num_workers} workers "
                    "(hydra.launcher.workers=2)"
                ) from error

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Bring every job to its end.

        Raises:
            SkiplabError: there is no room for the workers.
            WorkersLostError: a worker, not a trial, was killed; their records hold what was done.
            Interrupted: the sweep was told to stop, and so were its trials.
        """
        from joblib.externals.loky.process_executor import BrokenProcessPool

        from skiplab.interruption import interruptible
        from skiplab.sweeps.isolated import Isolated
        from skiplab.sweeps.room import room_for
        from skiplab.sweeps.rounds import WorkersLostError

        num_workers = self._num_workers(len(job_overrides))
        self.joblib["n_jobs"] = num_workers
        with room_for(num_workers), TemporaryDirectory(prefix="skiplab-sweep-") as folder:
            going_on = Path(folder) / "going_on"
            going_on.touch()
            self.task_function = Isolated(self.task, going_on, self._turn(Path(folder).name))
            with interruptible(when_heard=lambda: going_on.unlink(missing_ok=True)) as interruption:
                interruption.patient = True  # until the trials have ended
                try:
                    returns = super().launch(job_overrides, initial_job_idx)
                except BrokenProcessPool as error:
                    interruption.check()
                    raise WorkersLostError from error
                interruption.check()
        return returns

    def _num_workers(self, num_tasks: int) -> int:
        """At least two: a single one would be the sweep's own process."""
        return max(2, min(self._at_once, num_tasks))

    @cached_property
    def _at_once(self) -> int:
        import joblib

        fed = self.trials_per_gpu * len(self._devices) or joblib.cpu_count() // self._whole("num_threads")
        return self.workers or max(1, fed // self._processes)

    @cached_property
    def _devices(self) -> list[str]:
        from skiplab.sweeps.devices import visible_devices

        return visible_devices() if self.config.trainer.accelerator == "gpu" else []

    @cached_property
    def _processes(self) -> int:
        return self._whole("trainer.devices")

    def _whole(self, name: str) -> int:
        """A setting of the sweep's own configuration; 1 where it is missing or will be refused."""
        value = OmegaConf.select(self.config, name)
        return value if isinstance(value, int) and value > 0 else 1

    def _turn(self, sweep: str) -> Callable[[], Any]:
        """What a trial waits for."""
        from skiplab.sweeps.devices import at_once, on_devices, one_at_a_time

        if self._devices:
            return partial(on_devices, self._devices, self._processes, self.trials_per_gpu)
        return at_once if self._at_once > 1 else partial(one_at_a_time, sweep)
