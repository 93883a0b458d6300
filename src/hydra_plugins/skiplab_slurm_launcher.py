"""SLURM through submitit, in which a job that is lost loses nothing else."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher


class SkiplabSlurmLauncher(SlurmLauncher):
    """Hydra's submitit launcher; where a job ends without a result, the sweep looks at the records and goes on.

    A preempted job, and one whose time is over, writes a checkpoint, is queued again and resumes.
    """

    elsewhere = True

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit every job and wait for all.

        Raises:
            WorkersLostError: a job was killed or cancelled; their records hold what was done.
        """
        from submitit.core.utils import FailedJobError, UncompletedJobError

        from skiplab.sweeps.rounds import WorkersLostError

        try:
            return super().launch(job_overrides, initial_job_idx)
        except (UncompletedJobError, FailedJobError) as error:
            raise WorkersLostError from error
