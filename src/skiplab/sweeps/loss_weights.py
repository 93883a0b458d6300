"""Whether predictions that a sweep compares differ in what their loss weighs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hydra.utils import get_class, instantiate

from skiplab.sweeps.job import Job

_CELL = ("loss_weighting", "noise_schedule")
_AXES = ("prediction", *_CELL)
_ALIKE = 1.01  # the largest ratio of two means that counts as equal


class _Means(NamedTuple):
    """The mean weights of the squared errors of the output and of the clean image."""

    outputs: float
    images: float


def weights_note(jobs: Sequence[Job]) -> str | None:
    """How differently a weighting weighs the errors of the predictions that are swept under it; None if it doesn't.

    No weighting weighs both outputs and clean images of different predictions alike. Named are the outputs where they
    differ, else the images.
    """
    if len({job.choices.get("prediction") for job in jobs}) < 2:
        return None
    from skiplab.objectives.denoising import Denoising  # with torch, which a refused sweep needn't wait for

    cells: dict[tuple[str, ...], dict[str, Job]] = {}
    for job in jobs:
        if issubclass(get_class(job.config.objective._target_), Denoising):
            cell = tuple(job.choices[axis] for axis in _CELL)
            cells.setdefault(cell, {}).setdefault(job.choices["prediction"], job)
    found = [_cell_note(cell[0], own) for cell, own in cells.items() if len(own) > 1]
    notes = list(dict.fromkeys(note for note in found if note))
    return f"predictions differ in what the loss weighs: {'; '.join(notes)}" if notes else None


def _cell_note(weighting: str, jobs: Mapping[str, Job]) -> str | None:
    means = {prediction: _means(job) for prediction, job in jobs.items()}
    for name in _Means._fields:
        by_prediction = {prediction: getattr(own, name) for prediction, own in means.items()}
        lowest, highest = (choose(by_prediction, key=by_prediction.__getitem__) for choose in (min, max))
        if by_prediction[highest] > _ALIKE * by_prediction[lowest]:
            return (
                f"loss_weighting={weighting} gives errors of {name} a mean weight of {by_prediction[lowest]:.3g} "
                f"({lowest}) to {by_prediction[highest]:.3g} ({highest})"
            )
    return None


def _means(job: Job) -> _Means:
    from skiplab.objectives.denoising import Denoising

    axes = {axis: instantiate(job.config[axis]) for axis in _AXES}
    objective = Denoising(1, **axes, conditioning=instantiate(job.config.conditioning))
    return _Means(*(weights.mean().item() for weights in objective.weights()))
