"""What a sweep prints before and after its trials."""

from collections.abc import Mapping, Sequence

from skiplab.errors import SkiplabError
from skiplab.printable import counted
from skiplab.sweeps.job import Job, distinct_overrides
from skiplab.sweeps.notes import print_notes
from skiplab.sweeps.rounds import reason


def announce(jobs: Sequence[Job], left: Sequence[Job], earlier: Sequence[Job]) -> None:
    """Print one line on what is done and what is left, and the notes."""
    study, done = jobs[0].config.run.study, len(jobs) - len(left) - len(earlier)
    failed = f", {len(earlier)} failed before (run.retry_failed=true retries them)" if earlier else ""
    evaluated = sum(job.trained for job in left)
    remaining = {"to train": len(left) - evaluated, "to evaluate": evaluated}
    to_do = ", ".join(f"{count} {what}" for what, count in remaining.items() if count) or "0 to train"
    print(f"study {study}: {counted(len(jobs))}, {done} already done{failed}, {to_do}", flush=True)
    print_notes(jobs)


def conclude(jobs: Sequence[Job], left: Sequence[Job], earlier: Sequence[Job], failures: Mapping[Job, str]) -> None:
    """Print one line on what was trained, or that nothing was left.

    Raises:
        SkiplabError: lists the trials that failed, now or earlier.
    """
    failures = {job: reason(job) for job in earlier} | dict(failures)
    try:
        print(_ended(jobs, left, failures), flush=True)
    finally:  # failures count also where the reader of what is printed has gone
        if failures:
            words = distinct_overrides(jobs)
            lines = [f"  {job.record.key} {words[job]}: {why}" for job, why in failures.items()]
            raise SkiplabError("\n".join([f"{len(failures)} of {counted(len(jobs))} failed:", *lines])) from None


def _ended(jobs: Sequence[Job], left: Sequence[Job], failures: Mapping[Job, str]) -> str:
    if not left:
        return f"nothing left to train; `skiplab table {jobs[0].config.run.study}` compares them"
    diverged = sum(job.record.status == "diverged" for job in left)
    ended = sum(job not in failures for job in left)
    return f"{counted(ended)} finished ({diverged} diverged), {len(failures)} failed"
