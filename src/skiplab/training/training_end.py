"""How training ended: judged from its losses and from its last update, which no recorded loss shows.

Losses are recorded before the update of their step. How a trial ends depends on what its key consists of and on nothing
else, so observers such as eval_batch.num_images don't affect it.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from skiplab.objectives.training_batch import TrainingBatch
from skiplab.seeding import keyed_generator, keyed_seed, seed_globally
from skiplab.training.components import Components
from skiplab.training.divergence import NOT_FINITE, NUM_IMAGES, Divergence

WEIGHTS = "its last update left weights that aren't finite numbers"
OUTPUTS = "its last update left outputs that aren't finite numbers"
LOSS = "its last update left a loss that isn't a finite number"


class TrainingEnd(NamedTuple):
    """The fields of a record that say how training ended.

    step: number of steps, up to divergence.
    diverged_step: None unless training diverged.
    """

    step: int
    diverged_step: int | None = None
    diverged_because: str | None = None


def end_of_training(components: Components, divergence: Divergence) -> TrainingEnd:
    """How a trial ended that was trained to its last step or to divergence; the model is left in evaluation mode.

    Args:
        components: of the trial, with the network as training left it.
        divergence: the judge that has seen the loss of each step.
    """
    components.model.eval()
    if divergence.step is not None:
        return TrainingEnd(divergence.step + 1, divergence.step, divergence.because)
    steps = components.settings.max_steps
    reason = _why_last_update_diverged(components, divergence)
    return TrainingEnd(steps, steps - 1, reason) if reason else TrainingEnd(steps)


def _why_last_update_diverged(components: Components, divergence: Divergence) -> str | None:
    """Why the last update diverged; None if it didn't.

    The first training images, with the same noise in all trials, give the outputs in evaluation mode, and the loss in
    training mode, which is what a further step would have recorded; it is judged with the losses before it.
    """
    settings, objective, model = components.settings, components.objective, components.model
    if not all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values()):
        return WEIGHTS
    device = settings.device
    model.to(device)
    images, labels = components.data.train.first(min(settings.batch_size, NUM_IMAGES))
    batch = objective.draw(images, labels, keyed_generator(0, "last update")).map(lambda tensor: tensor.to(device))
    outputs, _ = _outputs_and_loss(components, batch)
    if not outputs.isfinite().all():
        return OUTPUTS
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]  # in training, batch norm updates its averages
    seed_globally(keyed_seed(settings.seed, "last update"), device)
    _, loss = _outputs_and_loss(components, batch, training=True)
    for buffer, value in before:
        buffer.copy_(value)
    divergence.see(loss)
    return LOSS if divergence.because == NOT_FINITE else divergence.because


@torch.no_grad()
def _outputs_and_loss(components: Components, batch: TrainingBatch, *, training: bool = False) -> tuple[Tensor, float]:
    """The network's outputs for a batch, and their mean loss."""
    outputs = []

    def network(*arguments: Any) -> Tensor:
        outputs.append(components.model(*arguments))
        return outputs[-1]

    components.model.train(training)
    loss = components.objective.loss_of(network, batch).double().mean().item()
    components.model.eval()
    return torch.cat(outputs), loss
