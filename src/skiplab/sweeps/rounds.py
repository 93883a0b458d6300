"""Trains all trials of a sweep, also if workers are lost or another sweep trains some of them."""

import time
from collections import Counter
from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from skiplab.records.record import HeldError
from skiplab.sweeps.job import Job

_MAX_LOSSES = 3  # of workers on one trial, before it counts as failed
_POLL_SECONDS = 1.0  # between two checks of trials that another sweep trains


class WorkersLostError(Exception):
    """A launcher has lost workers, and with them the results of their trials."""


def train(launcher: Launcher, jobs: Sequence[Job]) -> dict[Job, str]:
    """Launch the jobs. Wait for those that another sweep trains, and launch them if it leaves them unfinished.

    Returns:
        The failed jobs, with their reasons.
    """
    failures: dict[Job, str] = {}
    losses: Counter[Job] = Counter()
    pending = list(jobs)
    while pending:
        free = [job for job in pending if not job.record.held]
        if not free:
            time.sleep(_POLL_SECONDS)
        else:
            held = [job for job in pending if job not in free]
            pending = held + _launch(launcher, free, failures, losses)
        failures |= {job: reason(job) for job in pending if job.failed}
        pending = [job for job in pending if job.left and job not in failures]
    return failures


def _launch(launcher: Launcher, jobs: list[Job], failures: dict[Job, str], losses: Counter[Job]) -> list[Job]:
    """One round; returns the jobs whose records must be checked again."""
    try:
        returns = launcher.launch([job.overrides for job in jobs], initial_job_idx=0)
    except WorkersLostError:
        begun = [job for job in jobs if job.record.status in ("running", "interrupted")]
        losses.update(begun or jobs)  # if none had begun, the workers die as they start
        reason = f"lost its worker {_MAX_LOSSES} times, which happens when memory runs out"
        failures |= {job: reason for job in jobs if losses[job] == _MAX_LOSSES}
        print("a worker was killed; new workers resume its trial and the others", flush=True)
        return jobs
    outcomes = {job: _error(result) for job, result in zip(jobs, returns, strict=True)}
    failures |= {job: str(error) for job, error in outcomes.items() if error and not isinstance(error, HeldError)}
    return [job for job, error in outcomes.items() if isinstance(error, HeldError)]


def _error(result: JobReturn) -> BaseException | None:
    return None if result.status == JobStatus.COMPLETED else result._return_value  # the public name prints it


def reason(job: Job) -> str:
    """The last line of the error in the record."""
    return (job.record.read()["error"] or "no reason recorded").strip().splitlines()[-1]
