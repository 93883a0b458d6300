"""What tuning will cost, said before it starts."""

from collections.abc import Sequence
from typing import Any

from skiplab.printable import counted
from skiplab.records.statuses import FINISHED
from skiplab.sweeps.job import Job
from skiplab.sweeps.preview import costs_of, remaining_time, training_flops
from skiplab.tuning.budget import Budget
from skiplab.tuning.levels import levels_of
from skiplab.tuning.preset_sweep import PresetSweep
from skiplab.tuning.rates import RateGrid


def expected_cost(jobs: Sequence[Job], sweep: PresetSweep, grid: RateGrid, budget: Budget) -> str:
    """The number of trials, their FLOPs and time, and what a widening of the grid adds.

    One network of each combination is built, since rates don't change its cost, and other settings seldom do.

    Args:
        jobs: the tuning trials.
        sweep: the study that they are for, whose finished trials tell the time too.
        grid: the rates.
        budget: what each combination is given.

    Raises:
        SkiplabError: a network is invalid.
    """
    groups: dict[tuple[Any, ...], list[Job]] = {}
    for job in jobs:
        groups.setdefault(tuple(levels_of(job, sweep.factors).values()), []).append(job)
    left = [job for job in jobs if job.left and not job.failed]
    flops: dict[Job, float] = {}
    for own in groups.values():
        costs = costs_of(own[0])
        flops |= {job: training_flops(job, costs) for job in own}
    to_train = sum(flops[job] for job in left)
    tries = sorted({len(own) // len(budget.seeds) for own in groups.values()})
    seeds = f"{len(budget.seeds)} seed{'s' if len(budget.seeds) > 1 else ''}"
    done = [job for job in (*jobs, *sweep.jobs) if job.record.status in FINISHED]
    added = len(jobs) // len(grid.rates)
    widened = f"; each widening of the grid, of {budget.widenings} at most, adds {added} at an edge"
    return (
        f"tuning: {len(groups)} combinations of arm and cell, {' to '.join(map(str, tries))} tries each, {seeds}: "
        f"{counted(len(jobs))}, {len(left)} left, {to_train:.2g} FLOPs to train them, "
        f"{remaining_time(left, done, flops.__getitem__)}"
        f"{widened if budget.widenings else ''}"
    )
