"""SLURM by submitit, where a lost job does no harm to others."""

import shutil
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from subprocess import CalledProcessError
from typing import Any, TextIO

from hydra.core.utils import JobReturn
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher

from skiplab.errors import SkiplabError

_SBATCH = "sbatch: "  # each line of its errors starts with this


class SkiplabSlurmLauncher(SlurmLauncher):
    """Hydra's submitit launcher; if a job ends without a result, the sweep reads the records and continues.

    A job that is preempted or runs out of time writes a checkpoint, is queued again and resumes.
    """

    elsewhere = True

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit all jobs and wait for them.

        Raises:
            SkiplabError: SLURM isn't installed or refuses the jobs.
            WorkersLostError: a job was killed or canceled; the records hold what was done.
        """
        from submitit.core.utils import FailedJobError, UncompletedJobError

        from skiplab.sweeps.rounds import WorkersLostError

        if missing := [program for program in ("sbatch", "srun") if shutil.which(program) is None]:
            raise SkiplabError(
                f"hydra/launcher=skiplab_slurm needs SLURM, but {' and '.join(missing)} can't be found; start the "
                "sweep on a machine of the cluster, or train here with hydra/launcher=skiplab_cores"
            )
        try:
            with redirect_stderr(_WithoutSbatch(sys.stderr)):
                return super().launch(job_overrides, initial_job_idx)
        except (UncompletedJobError, FailedJobError) as error:
            if isinstance(error.__cause__, CalledProcessError):  # the command that submits
                raise SkiplabError(_refusal(str(error))) from error
            raise WorkersLostError from error


class _WithoutSbatch:
    """A stream that drops the lines of sbatch, because submitit both prints and raises them.

    Args:
        stream: where all other text goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._dropped = stream, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def flush(self) -> None:
        self._stream.flush()

    def write(self, text: str) -> int:
        ends_dropped = self._dropped and text == "\n"
        self._dropped = text.startswith(_SBATCH)
        return len(text) if self._dropped or ends_dropped else self._stream.write(text)


def _refusal(output: str) -> str:
    first = (output.strip().splitlines() or ["sbatch gives no reason"])[0]
    reason = first.removeprefix(_SBATCH).removeprefix("error: ")
    return (
        f"SLURM refuses the jobs: {reason}; set what the cluster requires, such as hydra.launcher.partition=NAME, or "
        "train here with hydra/launcher=skiplab_cores"
    )
