"""What a sweep says before and after its trials."""

from collections.abc import Mapping, Sequence

from skiplab.errors import SkiplabError
from skiplab.sweeps.job import Job, own_words
from skiplab.sweeps.rounds import reason


def announce(jobs: Sequence[Job], left: Sequence[Job], given_up: Sequence[Job]) -> None:
    """One line on what is done and what is left."""
    study, done = jobs[0].config.run.study, len(jobs) - len(left) - len(given_up)
    failed = f", {len(given_up)} failed before (run.retry_failed=true tries again)" if given_up else ""
    print(f"study {study}: {len(jobs)} trials, {done} already done{failed}, {len(left)} to train", flush=True)
    if not left:
        print(f"nothing left to train; `skiplab table {study}` compares them")


def conclude(jobs: Sequence[Job], left: Sequence[Job], given_up: Sequence[Job], failures: Mapping[Job, str]) -> None:
    """One line on what was trained.

    Raises:
        SkiplabError: lists the trials that failed, now or before.
    """
    failures = {job: reason(job) for job in given_up} | dict(failures)
    if left:
        diverged = sum(job.record.read().get("status") == "diverged" for job in left)
        ended = sum(job not in failures for job in left)
        print(f"{ended} trials finished ({diverged} diverged), {len(failures)} failed")
    if failures:
        words = own_words(jobs)
        lines = [f"  {job.record.key} {words[job]}: {why}" for job, why in failures.items()]
        raise SkiplabError("\n".join([f"{len(failures)} of {len(jobs)} trials failed:", *lines]))
