"""The loss of a record's network on its validation images, as a function of the network."""

from collections.abc import Callable

import torch
from torch import nn

from skiplab.evaluators.eval_batches.eval_batch import EvalBatch, inputs_per_call, outputs
from skiplab.objectives.denoising import Denoising
from skiplab.training.load import LoadedTrial


def record_loss(trial: LoadedTrial, *, num_images: int, num_levels: int) -> Callable[[nn.Module], dict[str, float]]:
    """The loss on the first validation images, 'all', and for a denoiser that at each noise level, 'time 0.1'.

    Images, levels and noise are those of `eval_batch` in a trial, so that with its settings 'all' is its `loss_val`.

    Args:
        trial: from `skiplab.load`.
        num_images: validation images.
        num_levels: noise levels, if the network denoises.
    """
    objective, data = trial.objective, trial.data
    eval_batch = EvalBatch(num_images=num_images, num_levels=num_levels)
    if isinstance(objective, Denoising):
        return _of_denoiser(objective, eval_batch, eval_batch.noised(objective, data.val, "val"))
    images, labels = data.val.first(num_images)
    size = inputs_per_call(images.device, images.shape[1:])
    batches = list(zip(*(each.split(size) for each in (images, labels)), strict=True))

    @torch.no_grad()
    def loss(model: nn.Module) -> dict[str, float]:
        generator = torch.Generator(images.device).manual_seed(0)
        total = sum(objective.loss(model, *each, generator=generator).double().sum().item() for each in batches)
        return {"all": total / len(images)}

    return loss


def _of_denoiser(objective: Denoising, eval_batch: EvalBatch, levels: list) -> Callable[[nn.Module], dict[str, float]]:
    weights = eval_batch.weights(objective).tolist()

    @torch.no_grad()
    def loss(model: nn.Module) -> dict[str, float]:
        found = {}
        for weight, (_, _, noised) in zip(weights, levels, strict=True):
            errors = objective.errors(outputs(objective, model, noised), noised.target)
            found[f"time {noised.time[0].item():.2g}"] = weight * errors.double().mean().item()
        return {"all": sum(found.values()) / len(found), **found}

    return loss
