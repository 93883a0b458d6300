"""A Ray task per trial, for a Ray cluster."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from skiplab.errors import SkiplabError


class SkiplabRayLauncher(Launcher):
    """Hydra's Ray launcher; if a task ends without a result, the sweep reads the records and continues.

    Args:
        ray: `init` and `remote`, the arguments of ray.init and ray.remote.

    Raises:
        SkiplabError: Ray isn't installed.
    """

    elsewhere = True

    def __init__(self, ray: DictConfig) -> None:
        try:
            from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
        except ModuleNotFoundError as error:
            raise SkiplabError(
                f"hydra/launcher=skiplab_ray needs Ray, but the package {error.name} isn't installed; run "
                "pip install 'skiplab[ray]'"
            ) from None
        self.launcher = RayLauncher(ray)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.launcher.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs.

        Raises:
            WorkersLostError: a worker was killed more often than Ray retries; the records hold what was done.
        """
        from ray.exceptions import RayError

        from skiplab.sweeps.rounds import WorkersLostError

        try:
            return self.launcher.launch(job_overrides, initial_job_idx)
        except RayError as error:
            raise WorkersLostError from error
