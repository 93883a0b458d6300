"""joblib's workers, one per core or per GPU, each trial in a process of its own."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
from omegaconf import DictConfig, OmegaConf


class SkiplabCoresLauncher(JoblibLauncher):
    """Hydra's joblib launcher with as many workers as the machine feeds, and trials that end when they are told to.

    A trial on the CPU gets `num_threads` cores for each of its processes, one on GPUs as many as it has processes,
    and sees no others. A trial that is killed is told as such; the others go on.

    Args:
        workers: how many trials run at once, from 1; None for one per core, or per GPU.
    """

    def __init__(self, *, workers: int | None) -> None:
        super().__init__(batch_size=1)
        self.workers = workers

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.task = task_function

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Bring every job to its end.

        Raises:
            WorkersLostError: a worker, not a trial, was killed; their records hold what was done.
            Interrupted: the sweep was told to stop, and so were its trials.
        """
        import joblib
        from joblib.externals.loky.process_executor import BrokenProcessPool

        from skiplab.interruption import interruptible
        from skiplab.sweeps.devices import visible_devices
        from skiplab.sweeps.isolated import Isolated
        from skiplab.sweeps.rounds import WorkersLostError

        processes = OmegaConf.select(self.config, "trainer.devices", default=1)
        devices = visible_devices() if self.config.trainer.accelerator == "gpu" else []
        fed = len(devices) // processes or joblib.cpu_count() // (self.config.num_threads * processes)
        self.joblib["n_jobs"] = max(1, min(self.workers or fed, len(job_overrides)))
        with TemporaryDirectory(prefix="skiplab-sweep-") as folder:
            going_on = Path(folder) / "going_on"
            going_on.touch()
            self.task_function = Isolated(self.task, going_on, devices, processes)
            with interruptible(when_heard=lambda: going_on.unlink(missing_ok=True)) as interruption:
                interruption.patient = self.joblib["n_jobs"] > 1  # else the trial itself, in this process, hears them
                try:
                    returns = super().launch(job_overrides, initial_job_idx)
                except BrokenProcessPool as error:
                    interruption.check()
                    raise WorkersLostError from error
                interruption.check()
        return returns
