"""What a sweep would do: its trials, which are done, which are left, and how long those take and what they cost."""

from collections import Counter
from collections.abc import Callable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from skiplab.analysis import terminal
from skiplab.printable import counted
from skiplab.records.record_schema import Costs
from skiplab.sweeps.job import Job, distinct_overrides
from skiplab.sweeps.notes import print_notes
from skiplab.sweeps.status import duration, standing

_LEFT = {
    "interrupted": "resumes",
    "failed": "retried",  # because of run.retry_failed
    "running": "running",
    "done": "evaluated again",  # by evaluators that its record lacks
}
_TRAINS = ("left", "resumes", "retried")
_MAX_ROWS = 40  # that are printed
_COSTS = {
    "num_parameters": "parameters",
    "flops_per_sample": "FLOPs",
    "activation_bytes_per_sample": "activation bytes",
}


def preview(jobs: Sequence[Job]) -> None:
    """Print the grid. One trial of each kind without a record is built, so that an invalid one is refused.

    Raises:
        SkiplabError: a trial is invalid.
    """
    console = terminal.console(width=120)
    states, costs, words = [_state(job) for job in jobs], _costs(jobs), distinct_overrides(jobs)
    table = Table("trial", "overrides", "state", *_COSTS.values(), box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for job, state in list(zip(jobs, states, strict=True))[:_MAX_ROWS]:
        numbers = [f"{costs[job.kind][name]:,}" for name in _COSTS]
        table.add_row(job.record.key, Text(words[job]), state, *numbers)
    console.print(table)
    if len(jobs) > _MAX_ROWS:
        console.print(f"and {len(jobs) - _MAX_ROWS} more")
    print_notes(jobs)
    left, done = [job for job in jobs if job.left and not job.failed], [job for job in jobs if not job.left]
    counts = Counter(states)
    by_state = ", ".join(f"{count} {state}" for state, count in counts.items())
    flops = {job: training_flops(job, costs[job.kind]) for job in jobs}
    remaining = remaining_time(left, done, flops.__getitem__)
    console.print(f"{counted(len(jobs))}: {by_state}; {remaining}", soft_wrap=True)
    training = sum(flops[job] for job, state in zip(jobs, states, strict=True) if state in _TRAINS)
    if training:
        console.print(f"{training:.2g} FLOPs to train what is left, without instruments and evaluation")


def _state(job: Job) -> str:
    found = standing(job.record).state
    if job.failed or not job.left:
        return found
    return "left" if job.config.run.rerun else _LEFT.get(found, "left")


def _costs(jobs: Sequence[Job]) -> dict[str, Costs]:
    """The costs of each kind of trial."""
    found: dict[str, Costs] = {}
    for job in jobs:
        if job.kind not in found:
            found[job.kind] = costs_of(job)
    return found


def costs_of(job: Job) -> Costs:
    """The costs of a trial's network, from its record if there is one, else from a network that is built here.

    Raises:
        SkiplabError: the trial is invalid.
    """
    from skiplab.training.build import build

    content = job.record.read_if_any()
    return build(job.config).costs if content is None else content["parity"]


def training_flops(job: Job, costs: Costs) -> float:
    """FLOPs of all steps: a forward pass, a backward pass of twice its cost, and another forward for recomputation."""
    passes = 4 if job.config.run.activation_checkpointing else 3
    flops = costs["flops_per_sample"]
    assert flops is not None, "it is known of a network that skiplab builds"
    return passes * flops * job.config.batch_size * job.config.trainer.max_steps


def remaining_time(left: Sequence[Job], done: Sequence[Job], flops_of: Callable[[Job], float]) -> str:
    """The time for the trials that are left, at the speed of those that are done.

    If none is done, the time of training alone, as steps show that are timed here.

    Args:
        left: the trials that are left.
        done: trials that are done.
        flops_of: the FLOPs of all steps of a trial.
    """
    if not left:
        return "nothing left to train"
    seconds = sum(job.record.read()["provenance"]["wall_seconds"] for job in done)
    if seconds:
        speed = sum(job.cost for job in done) / seconds
        return f"about {duration(sum(job.cost for job in left) / speed)} left on one worker"
    from skiplab.sweeps.speed import expected_seconds  # which builds networks

    unknown = "the time is unknown until one trial is done"
    training = [job for job in left if not job.trained]
    expected = expected_seconds(training, flops_of) if training else None
    if expected is None:
        return unknown
    return f"about {duration(expected)} of training on one worker, by steps timed here; evaluation comes on top"
