"""Small networks that answer what no sound one does: numbers that overflow, are none, or never change."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from skiplab.evaluators.eval_batches.eval_batch import outputs
from skiplab.evaluators.evaluator import Trained
from skiplab.objectives.cross_entropy import CrossEntropy
from skiplab.objectives.denoising import Denoising
from skiplab.objectives.objective import Objective
from skiplab.samplers.ddim import DDIM
from skiplab.testing.small_trial import small_trained

# Sizes of the largest output; samples of the second overflow, as noise is divided by a signal of a hundredth.
_SIZES = {"outputs of 1e30": 1e30, "outputs whose samples overflow": 1e37, "outputs that never change": 0.0}


def extreme_trials(measures: type[Objective]) -> Iterator[tuple[str, Trained[Any]]]:
    """Each with its name, of every kind that an evaluator measures; before training they were no better."""
    for kind in (each for each in (CrossEntropy, Denoising) if issubclass(each, measures)):
        for name, size in _SIZES.items():
            trained = small_trained(kind)
            *_, weight, bias = trained.model.parameters()
            _scale((weight, bias), size / float(_outputs(trained).abs().max()))
            yield f"{kind.__name__}, {name}", _extreme(trained)
        trained = small_trained(kind)
        *_, bias = trained.model.parameters()
        _scale([bias], torch.nan)
        yield f"{kind.__name__}, outputs that are no numbers", _extreme(trained)
        trained = small_trained(kind)
        _scale(trained.model.stem.parameters(), 1e30)
        yield f"{kind.__name__}, streams that overflow", _extreme(trained)


def _extreme(trained: Trained[Any]) -> Trained[Any]:
    model: nn.Module = trained.model
    sampler = DDIM(num_steps=1, clip=None, guidance_scale=1.0)
    return replace(trained, make_untrained=lambda: model, sampler=sampler)


@torch.no_grad()
def _scale(parameters: Iterable[Tensor], factor: float) -> None:
    for parameter in parameters:
        parameter.mul_(factor)


@torch.no_grad()
def _outputs(trained: Trained[Any]) -> Tensor:
    split = trained.data.train
    if not isinstance(trained.objective, Denoising):
        return trained.model(split.first(trained.eval_batch.num_images).images)
    noised = [each for *_, each in trained.eval_batch.noised(trained.objective, split, "train")]
    return torch.cat([outputs(trained.objective, trained.model, each) for each in noised])
