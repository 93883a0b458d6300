"""Batch norm of untrained networks, whose running averages mean nothing yet."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def settle_batch_norm(model: nn.Module, run: Callable[[], Tensor]) -> None:
    """Give the model's batch norms, which stay in evaluation mode, the mean and variance of the inputs of one run."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the running averages are plain ones
        norm.train()
    with torch.no_grad():
        run()
    for norm in norms:
        norm.eval()
