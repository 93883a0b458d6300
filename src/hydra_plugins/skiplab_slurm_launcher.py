"""SLURM through submitit, in which a job that is lost loses nothing else."""

import shutil
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from subprocess import CalledProcessError
from typing import Any, TextIO

from hydra.core.utils import JobReturn
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher

from skiplab.errors import SkiplabError

_SAYS = "sbatch: "  # how each line of its errors begins


class SkiplabSlurmLauncher(SlurmLauncher):
    """Hydra's submitit launcher; where a job ends without a result, the sweep looks at the records and goes on.

    A preempted job, and one whose time is over, writes a checkpoint, is queued again and resumes.
    """

    elsewhere = True

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit every job and wait for all.

        Raises:
            SkiplabError: SLURM isn't here, or takes no job.
            WorkersLostError: a job was killed or cancelled; their records hold what was done.
        """
        from submitit.core.utils import FailedJobError, UncompletedJobError

        from skiplab.sweeps.rounds import WorkersLostError

        if missing := [program for program in ("sbatch", "srun") if shutil.which(program) is None]:
            raise SkiplabError(
                f"hydra/launcher=skiplab_slurm needs SLURM, and {' and '.join(missing)} can't be found; start the "
                "sweep on a machine of the cluster, or train here with hydra/launcher=skiplab_cores"
            )
        try:
            with redirect_stderr(_WithoutSbatch(sys.stderr)):
                return super().launch(job_overrides, initial_job_idx)
        except (UncompletedJobError, FailedJobError) as error:
            if isinstance(error.__cause__, CalledProcessError):  # the command that submits
                raise SkiplabError(_refused(str(error))) from error
            raise WorkersLostError from error


class _WithoutSbatch:
    """A stream without the lines of sbatch, which submitit prints and raises too.

    Args:
        stream: where all else goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._dropped = stream, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        ends_dropped = self._dropped and text == "\n"
        self._dropped = text.startswith(_SAYS)
        return len(text) if self._dropped or ends_dropped else self._stream.write(text)


def _refused(said: str) -> str:
    first = (said.strip().splitlines() or ["sbatch gives no reason"])[0]
    reason = first.removeprefix(_SAYS).removeprefix("error: ")
    return (
        f"SLURM takes no job: {reason}; give what the cluster asks for, such as hydra.launcher.partition=NAME, or "
        "train here with hydra/launcher=skiplab_cores"
    )
