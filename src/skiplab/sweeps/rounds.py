"""Brings a sweep's trials to their end, whatever becomes of its workers and of other sweeps that share them."""

import time
from collections import Counter
from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from skiplab.records.record import HeldError
from skiplab.sweeps.job import Job

_MOST_LOSSES = 3  # of workers under one trial, before it counts as failed
_WAIT_SECONDS = 1.0  # between two looks at trials that others train


class WorkersLostError(Exception):
    """A launcher's workers are gone, and with them what they would have returned."""


def train(launcher: Launcher, jobs: Sequence[Job]) -> dict[Job, str]:
    """Launch the jobs; those that another sweep trains are waited for, and launched if it leaves them unfinished.

    Returns:
        The reasons of those that failed.
    """
    failures: dict[Job, str] = {}
    losses: Counter[Job] = Counter()
    waiting = list(jobs)
    while waiting:
        free = [job for job in waiting if not job.record.held]
        if not free:
            time.sleep(_WAIT_SECONDS)
        else:
            held = [job for job in waiting if job not in free]
            waiting = held + _launch(launcher, free, failures, losses)
        failures |= {job: reason(job) for job in waiting if job.failed}
        waiting = [job for job in waiting if job.left and job not in failures]
    return failures


def _launch(launcher: Launcher, jobs: list[Job], failures: dict[Job, str], losses: Counter[Job]) -> list[Job]:
    """One round; returns the jobs that are to be looked at again."""
    try:
        returns = launcher.launch([job.overrides for job in jobs], initial_job_idx=0)
    except WorkersLostError:
        begun = [job for job in jobs if job.record.status in ("running", "interrupted")]
        losses.update(begun or jobs)  # where none had begun, workers end as they start
        reason = f"lost its worker {_MOST_LOSSES} times, as happens where memory runs out"
        failures |= {job: reason for job in jobs if losses[job] == _MOST_LOSSES}
        print("a worker was killed; its trial and the others go on in new ones", flush=True)
        return jobs
    outcomes = {job: _error(result) for job, result in zip(jobs, returns, strict=True)}
    failures |= {job: str(error) for job, error in outcomes.items() if error and not isinstance(error, HeldError)}
    return [job for job, error in outcomes.items() if isinstance(error, HeldError)]


def _error(result: JobReturn) -> BaseException | None:
    return None if result.status == JobStatus.COMPLETED else result._return_value


def reason(job: Job) -> str:
    """The last line of what a record says of its failure."""
    return (job.record.read()["error"] or "no reason recorded").strip().splitlines()[-1]
