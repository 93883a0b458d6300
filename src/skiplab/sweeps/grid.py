"""The trials of one or several grids."""

from collections.abc import Sequence

from hydra.core.override_parser.types import Override

from skiplab.configuration.overrides import grid_points
from skiplab.errors import SkiplabError
from skiplab.records.key import OBSERVERS
from skiplab.sweeps.composer import Composer
from skiplab.sweeps.job import Job


def make_jobs(composer: Composer, arguments: Sequence[str], grids: Sequence[Sequence[str]] = ((),)) -> list[Job]:
    """Every trial of the grids that the arguments span, once each, however often or however spelled it appears.

    Args:
        composer: of the sweep.
        arguments: overrides, some with several values.
        grids: for each grid the overrides that are added to the arguments and replace those of the same name.

    Raises:
        HydraException: an override can't be applied.
        SkiplabError: a setting is unknown, a grid is empty, or two trials differ only in how they are observed.
    """
    jobs: dict[str, Job] = {}
    for grid in grids:
        for point in _points(composer.parse([*arguments, *grid])):
            job = composer.job(point)
            if jobs:
                _check_same_run(next(iter(jobs.values())), job)
            if jobs and job.record.key in jobs:
                _check_same_trial(jobs[job.record.key], job)
                continue
            jobs[job.record.key] = job
    return list(jobs.values())


def _points(spanning: Sequence[Override]) -> list[list[str]]:
    points = grid_points(spanning)
    if not points:
        empty = next(each.input_line for each in spanning if _is_empty(each))
        raise SkiplabError(f"{empty} has no values, so there is nothing to train; give at least one value")
    return points


def _is_empty(override: Override) -> bool:
    return override.is_sweep_override() and not list(override.sweep_string_iterator())


def _check_same_run(first: Job, job: Job) -> None:
    """Refuse a sweep with several values of a setting in run: it is one study, shown and concluded as one."""
    if first.config.run != job.config.run:
        raise SkiplabError(
            f"{_difference(first, job)} differ in a setting of run, which must be the same in a whole sweep; give it "
            "one value, or start a sweep for each"
        )


def _check_same_trial(earlier: Job, job: Job) -> None:
    """Refuse a second trial with the key of an earlier one, unless the configurations are equal."""
    if earlier.config != job.config:
        raise SkiplabError(
            f"{_difference(earlier, job)} are the same trial, because these settings only change how it is measured "
            "or stored; sweep other settings, or give one value (several evaluators are one list, evaluator=[a,b])"
        )


def _difference(one: Job, other: Job) -> str:
    """The overrides that two trials don't share, and of these the ones that only observe a trial if there are any."""
    own = [[word for word in job.overrides if word not in rest.overrides] for job, rest in ((one, other), (other, one))]
    observing = [[word for word in words if _observes(word)] for words in own]
    return " and ".join(" ".join(words) for words in (observing if all(observing) else own))


def _observes(word: str) -> bool:
    return word.lstrip("+").split("=")[0].split(".")[0] in OBSERVERS
