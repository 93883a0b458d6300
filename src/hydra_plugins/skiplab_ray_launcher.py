"""Ray, for those who have a cluster of it: a task per trial."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from skiplab.errors import SkiplabError


class SkiplabRayLauncher(Launcher):
    """Hydra's Ray launcher; where a task ends without a result, the sweep looks at the records and goes on.

    Args:
        ray: `init` and `remote`, what ray.init and ray.remote are given.

    Raises:
        SkiplabError: where Ray isn't installed.
    """

    elsewhere = True

    def __init__(self, ray: DictConfig) -> None:
        try:
            from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
        except ModuleNotFoundError as error:
            raise SkiplabError(
                f"hydra/launcher=skiplab_ray needs Ray, and {error.name} isn't here: pip install 'skiplab[ray]'"
            ) from None
        self.launcher = RayLauncher(ray)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.launcher.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Bring every job to its end.

        Raises:
            WorkersLostError: a worker was killed more often than Ray tries again; the records hold what was done.
        """
        from ray.exceptions import RayError

        from skiplab.sweeps.rounds import WorkersLostError

        try:
            return self.launcher.launch(job_overrides, initial_job_idx)
        except RayError as error:
            raise WorkersLostError from error
