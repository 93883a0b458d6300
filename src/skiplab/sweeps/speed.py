"""How long trials will train before any was trained: a few steps are timed here, and FLOPs say the rest."""

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from skiplab.seeding import keyed_generator
from skiplab.sweeps.job import Job
from skiplab.training.batches import Batches
from skiplab.training.build import build
from skiplab.training.components import Components

_SECONDS = 0.5  # of steps that are timed, in all


def expected_seconds(jobs: Sequence[Job], flops_of: Callable[[Job], float]) -> float | None:
    """The time that all steps of some trials take one after the other, without instruments and evaluation.

    Steps of the cheapest and of the dearest trial are timed, and the time of a step is taken to be linear in its FLOPs,

        seconds = a + b flops,   a, b >= 0.

    Args:
        jobs: the trials.
        flops_of: the FLOPs of all steps of a trial.

    Returns:
        Seconds; None where the trials need a device that this machine lacks.
    """
    if any(job.config.trainer.accelerator == "gpu" for job in jobs) and not torch.cuda.is_available():
        return None
    steps = {job: job.config.trainer.max_steps for job in jobs}
    per_step = {job: flops_of(job) / steps[job] for job in jobs}
    cheapest, dearest = (choose(jobs, key=per_step.__getitem__) for choose in (min, max))
    if per_step[cheapest] == per_step[dearest]:
        return step_seconds(cheapest, _SECONDS) * sum(steps.values())
    low, high = (step_seconds(job, _SECONDS / 2) for job in (cheapest, dearest))
    slope = max(0.0, high - low) / (per_step[dearest] - per_step[cheapest])
    slope = min(slope, high / per_step[dearest])  # else a step without FLOPs would take less than no time
    fixed = high - slope * per_step[dearest]
    return sum(steps[job] * (fixed + slope * per_step[job]) for job in jobs)


def step_seconds(job: Job, seconds: float) -> float:
    """The median time of a training step of one trial, timed for so long, and for one step at least."""
    components = build(job.config)
    threads = torch.get_num_threads()
    torch.set_num_threads(components.settings.num_threads)
    try:
        with torch.random.fork_rng(devices=[]):
            return _timed(components, seconds)
    finally:
        torch.set_num_threads(threads)


def _timed(components: Components, seconds: float) -> float:
    settings, device = components.settings, components.settings.device
    split = components.data.train.to(device)
    components.model.to(device).train()
    batches = Batches(len(split), settings.batch_size, settings.seed)
    times: list[float] = []
    step = 0
    while sum(times) < seconds or not times:
        begun = time.perf_counter()
        components.optimizer.zero_grad()
        _loss(components, split.at(batches.indices(step)), step).backward()
        components.optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if step:  # the first takes longer
            times.append(time.perf_counter() - begun)
        step += 1
    return sorted(times)[len(times) // 2]


def _loss(components: Components, drawn: tuple[Tensor, Tensor], step: int) -> Tensor:
    images, labels = drawn
    seed, device = components.settings.seed, components.settings.device
    augment, noise = (keyed_generator(seed, purpose, step, device=device) for purpose in ("augmentation", "noise"))
    batch = components.objective.draw(components.augmentation(images, augment), labels, noise)
    return components.objective.loss_of(components.model, batch).mean()
