"""What trials cost, in time by the clock, at the pace of the trials that are done."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from skiplab.deciding.ladder_sweep import Point
from skiplab.printable import counted
from skiplab.records.record_schema import RecordContent
from skiplab.records.statuses import FINISHED
from skiplab.records.timestamps import in_utc
from skiplab.sweeps.job import Job
from skiplab.sweeps.status import duration


@dataclass(frozen=True)
class Cost:
    """A number of trials, and the seconds by the clock that they take; None if that isn't known."""

    trials: int
    seconds: float | None

    def __str__(self) -> str:
        if self.trials == 0:
            return "0 trials"
        time = "time unknown until one is done" if self.seconds is None else f"about {duration(self.seconds)}"
        return f"{counted(self.trials)}, {time}"


class Pace:
    """How long a trial takes, and how many run at once, by the records of those that are done.

    A trial takes the mean of its point's other seeds; without any, its blocks times channels times steps at the speed
    of all that are done. A point without records takes what its published trials took.

    Args:
        points: all that can be trained.
        seeds: those at which trials may be done.
        published: the seconds of each published trial that needn't be trained, by key.
    """

    def __init__(self, points: Iterable[Point], seeds: Sequence[int], published: Mapping[str, float]) -> None:
        self._published = published
        self._seconds: dict[Point, float] = {}
        done: list[RecordContent] = []
        work = total = 0.0
        for point in points:
            jobs = [point.job(seed) for seed in seeds]
            found = [each for each in (job.record.read_if_any() for job in jobs) if each and each["status"] in FINISHED]
            took = [each["provenance"]["wall_seconds"] for each in found] or [
                published[job.record.key] for job in jobs if job.record.key in published
            ]
            if took:
                self._seconds[point] = sum(took) / len(took)
                work, total = work + len(took) * point.template.cost, total + sum(took)
            done += found
        self._speed = work / total if total else None
        self._at_once = max(1.0, _seconds(done) / busy) if (busy := _busy(done)) else 1.0

    def cost(self, needed: Mapping[Point, Sequence[int]]) -> Cost:
        """What is left of these trials."""
        left = {
            point: sum(is_left(point.job(seed), self._published) for seed in seeds) for point, seeds in needed.items()
        }
        number = sum(left.values())
        if self._speed is None:
            return Cost(number, None if number else 0.0)
        each = {point: self._seconds.get(point, point.template.cost / self._speed) for point in left}
        longest = max((each[point] for point, count in left.items() if count), default=0.0)
        return Cost(number, max(longest, sum(each[point] * count for point, count in left.items()) / self._at_once))


def is_left(job: Job, published: Container[str]) -> bool:
    """Whether a trial is to be trained or evaluated; one that failed is only with run.retry_failed.

    published: the keys of published trials that needn't be trained.
    """
    return job.record.key not in published and job.left and not job.failed


def _seconds(records: Iterable[RecordContent]) -> float:
    return sum(each["provenance"]["wall_seconds"] for each in records)


def _busy(records: Iterable[RecordContent]) -> float:
    """The seconds by the clock in which any of the trials ran."""
    starts = ((in_utc(each["provenance"]["started"]).timestamp(), each) for each in records)
    busy, until = 0.0, float("-inf")
    for start, end in sorted((start, start + each["provenance"]["wall_seconds"]) for start, each in starts):
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    return busy
