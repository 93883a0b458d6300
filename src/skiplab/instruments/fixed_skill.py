"""Skill at fixed images and noise, as a function of the network's weights, with its gradient."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from skiplab.data.dataset import Split
from skiplab.objectives.objective import Objective
from skiplab.seeding import keyed_generator, keyed_seed, seed_globally


class FixedSkill:
    """max(0, 1 - L / L_0) at the network's current weights, L_0 being the zero predictor's loss.

    L is the objective's mean loss of images of the training split, which are the same in each call, in each trial on
    these data and on each device, and so are their noise levels and their noise. The network stays in its mode,
    computes in the precision of its weights, and draws the same numbers in each call (dropout, stochastic depth). A
    loss above L_0, or one that isn't finite, is skill 0 with gradient 0. Calls leave weights, gradients, buffers and
    the global generators unchanged.

    Args:
        model: the network.
        objective: defines the loss.
        split: the training split.
        num_images: number of images; all of them if the split has fewer.
    """

    def __init__(self, model: nn.Module, objective: Objective[Any], split: Split, num_images: int) -> None:
        self._model, self._objective = model, objective
        order = torch.randperm(len(split), generator=keyed_generator(0, "fixed_skill/images"))
        images, labels = (part.cpu() for part in split.at(order[:num_images]))
        generators = (keyed_generator(0, "fixed_skill/noise") for _ in range(2))
        self._batch = objective.draw(images, labels, next(generators))
        self._zero_loss = objective.zero_loss(images, labels, next(generators))

    @torch.no_grad()
    def value(self) -> float:
        """The skill."""
        return max(0.0, self._skill().item())

    def gradient(self, parameters: Sequence[nn.Parameter]) -> list[Tensor | None]:
        """The skill's gradient with respect to each parameter; None for one that it doesn't depend on."""
        with torch.enable_grad():
            skill = self._skill()
            if not skill > 0:
                return [None] * len(parameters)
            return list(torch.autograd.grad(skill, parameters, allow_unused=True))

    def _skill(self) -> Tensor:
        """1 - L / L_0; 0 if it isn't finite."""
        device = next(self._model.parameters()).device
        self._batch = self._batch.map(lambda tensor: tensor.to(device))
        with _unchanged(self._model, device):
            loss = self._objective.loss_of(self._model, self._batch).mean()
        return torch.where(loss.isfinite(), 1 - loss / self._zero_loss, 0.0)


@contextmanager
def _unchanged(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Seed the global generators, and restore them and the buffers of the model afterwards."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        seed_globally(keyed_seed(0, "fixed_skill/model"), device)
        yield
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
