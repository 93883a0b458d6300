"""The module of a training on eight numbers, without a trainer: to see what it draws at each step."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from skiplab.data.dataset import Split
from skiplab.training.module import AblationModule


def drawing_module(network: nn.Module, objective: Any, **trainer: Any) -> AblationModule:
    """Batches of four from eight images of one pixel, with values from 0 to 7.

    trainer: what a step asks of the trainer.
    """
    module = AblationModule(
        network,
        objective,
        Split(torch.arange(8.0).view(8, 1, 1), torch.zeros(8, dtype=torch.long)),
        augmentation=lambda images, generator: images,
        batch_size=4,
        seed=0,
        optimizer=torch.optim.Adam,
        scheduler=torch.optim.lr_scheduler.ConstantLR,
    )
    module._trainer = SimpleNamespace(**trainer)
    return module
