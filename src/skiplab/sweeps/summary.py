"""What a sweep says before and after its trials."""

from collections.abc import Mapping, Sequence

from skiplab.errors import SkiplabError
from skiplab.printable import counted
from skiplab.sweeps.job import Job, own_words
from skiplab.sweeps.rounds import reason


def announce(jobs: Sequence[Job], left: Sequence[Job], given_up: Sequence[Job]) -> None:
    """One line on what is done and what is left."""
    study, done = jobs[0].config.run.study, len(jobs) - len(left) - len(given_up)
    failed = f", {len(given_up)} failed before (run.retry_failed=true tries again)" if given_up else ""
    measured = sum(job.trained for job in left)
    to_do = {"to train": len(left) - measured, "to measure": measured}
    told = ", ".join(f"{count} {what}" for what, count in to_do.items() if count) or "0 to train"
    print(f"study {study}: {counted(len(jobs))}, {done} already done{failed}, {told}", flush=True)


def conclude(jobs: Sequence[Job], left: Sequence[Job], given_up: Sequence[Job], failures: Mapping[Job, str]) -> None:
    """One line on what was trained, or that there was nothing to do.

    Raises:
        SkiplabError: lists the trials that failed, now or before.
    """
    failures = {job: reason(job) for job in given_up} | dict(failures)
    if left:
        diverged = sum(job.record.status == "diverged" for job in left)
        ended = sum(job not in failures for job in left)
        print(f"{counted(ended)} finished ({diverged} diverged), {len(failures)} failed")
    else:
        study = jobs[0].config.run.study
        print(f"nothing left to train; `skiplab table {study}` compares them")
    if failures:
        words = own_words(jobs)
        lines = [f"  {job.record.key} {words[job]}: {why}" for job, why in failures.items()]
        raise SkiplabError("\n".join([f"{len(failures)} of {counted(len(jobs))} failed:", *lines]))
