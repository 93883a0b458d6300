"""SLURM by submitit, where a lost job does no harm to others."""

import json
import math
import shutil
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from subprocess import CalledProcessError
from typing import Any, TextIO

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher

from skiplab.errors import SkiplabError

_SBATCH = "sbatch: "  # each line of its errors starts with this
_LONGEST_ARRAY = 1000  # jobs, on a cluster that leaves MaxArraySize at its default


@dataclass
class SlurmConf(SlurmQueueConf):
    """The settings of hydra/launcher=skiplab_slurm and their types: submitit's, and how many trials a job trains."""

    trials_per_job: int = 1


ConfigStore.instance().store(group="hydra/launcher", name="skiplab_slurm_settings", node=SlurmConf)


class SkiplabSlurmLauncher(SlurmLauncher):
    """Hydra's submitit launcher; if a job ends without a result, the sweep reads the records and continues.

    A job that is preempted or runs out of time writes a checkpoint, is queued again and resumes at the trial that was
    cut off.

    Args:
        trials_per_job: how many trials one job trains, one after the other.
        **params: those of submitit's launcher.

    Raises:
        SkiplabError: if trials_per_job isn't above 0.
    """

    elsewhere = True

    def __init__(self, *, trials_per_job: int, **params: Any) -> None:
        super().__init__(**params)
        if trials_per_job < 1:
            raise SkiplabError(
                f"hydra.launcher.trials_per_job={trials_per_job} is invalid; valid: a whole number above 0"
            )
        self.trials_per_job = trials_per_job

    def __call__(self, sweep_overrides: list[str], *arguments: Any) -> Any:
        """Train the trials of one job, on the cluster.

        Args:
            sweep_overrides: those of each trial, as JSON, since submitit wants a list of strings for a job.
            *arguments: what submitit hands over besides.

        Returns:
            A list of what each trial returned, without its configurations, which the process of the sweep knows.
        """
        train = super().__call__  # before a trial, which lets Hydra load this module and its classes anew
        results = []
        for each in sweep_overrides:
            results.append(train(json.loads(each), *arguments))
            results[-1].cfg = results[-1].hydra_cfg = None
        return results

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submit all trials, `trials_per_job` a job, and wait for them.

        Returns:
            What each trial returned, in their order.

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
        trials = [json.dumps(list(overrides)) for overrides in job_overrides]
        jobs = [trials[first : first + self.trials_per_job] for first in range(0, len(trials), self.trials_per_job)]
        try:
            with redirect_stderr(_WithoutSbatch(sys.stderr)):
                of_jobs: Sequence[Any] = super().launch(jobs, initial_job_idx)
                return [result for of_job in of_jobs for result in of_job]
        except (UncompletedJobError, FailedJobError) as error:
            if isinstance(error.__cause__, CalledProcessError):  # the command that submits
                raise SkiplabError(_refusal(str(error), len(trials), self.trials_per_job)) from error
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


def _refusal(output: str, num_trials: int, trials_per_job: int) -> str:
    first = (output.strip().splitlines() or ["sbatch gives no reason"])[0]
    reason = first.removeprefix(_SBATCH).removeprefix("error: ")
    if "job array" in reason:
        fewer = max(2 * trials_per_job, math.ceil(num_trials / _LONGEST_ARRAY))
        return f"SLURM refuses so many jobs: {reason}; set hydra.launcher.trials_per_job={fewer} or more"
    return (
        f"SLURM refuses the jobs: {reason}; set what the cluster requires, such as hydra.launcher.partition=NAME, or "
        "train here with hydra/launcher=skiplab_cores"
    )
