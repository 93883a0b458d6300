"""What counts as divergence, and whether the last update was one, which no recorded loss shows: each is before its own.

A trial's end depends on what its key is made of and on nothing else, so what observes it, such as
eval_batch.num_images, has no say in it.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from skiplab.seeding import keyed_generator, keyed_seed, seed_globally
from skiplab.training.build import Parts

LOSS = "its loss exploded"
WEIGHTS = "its last update left weights that aren't finite numbers"
OUTPUTS = "its last update left outputs that aren't finite numbers"
LAST_LOSS = "its last update made the loss explode"
_NUM_IMAGES = 256  # at most, from which losses are estimated


def zero_loss(parts: Parts) -> float:
    """The training loss of the network that answers zero, which has learnt nothing."""
    return parts.objective.zero_loss(*parts.data.train.first(_NUM_IMAGES), keyed_generator(0, "zero loss"))


def diverged_above(config: DictConfig, parts: Parts) -> float:
    """The training loss above which a trial has diverged."""
    return config.divergence_factor * zero_loss(parts)


def ended(config: DictConfig, parts: Parts) -> dict[str, Any]:
    """The record's fields of a trial that was trained to its last step; the model is left in evaluation mode."""
    steps = config.trainer.max_steps
    why = _why_diverged(config, parts)
    return {"step": steps, "diverged_step": steps - 1 if why else None, "diverged_because": why or None}


def _why_diverged(config: DictConfig, parts: Parts) -> str:
    """Why the last update was a divergence, '' where it wasn't.

    A batch of the first training images, under the same noise in all trials, shows the outputs in evaluation mode, and
    the loss in training mode, which is what a further step would have recorded.
    """
    model = parts.model.eval()
    if not all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values()):
        return WEIGHTS
    device = torch.device("cuda" if config.trainer.accelerator == "gpu" else "cpu")
    model.to(device)
    images = parts.data.train.first(min(config.batch_size, _NUM_IMAGES))
    drawn = parts.objective.draw(*images, keyed_generator(0, "last update"))
    drawn = [None if part is None else part.to(device) for part in drawn]
    outputs, _ = _answers(parts, drawn)
    if not outputs.isfinite().all():
        return OUTPUTS
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]  # batch norm counts what passes it in training
    seed_globally(keyed_seed(config.seed, "last update"), device)
    _, loss = _answers(parts, drawn, training=True)
    for buffer, before in kept:
        buffer.copy_(before)
    return "" if math.isfinite(loss) and loss <= diverged_above(config, parts) else LAST_LOSS


@torch.no_grad()
def _answers(parts: Parts, drawn: Sequence[Tensor | None], *, training: bool = False) -> tuple[Tensor, float]:
    """The network's outputs at what was drawn for a step, and their mean loss."""
    found = []

    def network(*arguments: Any) -> Tensor:
        found.append(parts.model(*arguments))
        return found[-1]

    parts.model.train(training)
    loss = parts.objective.loss_of(network, *drawn).double().mean().item()
    parts.model.eval()
    return torch.cat(found), loss
