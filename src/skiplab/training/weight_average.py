"""The interface of an average of the weights over training, which is judged in place of the last weights."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

_STATE = "weight_average"  # its key in a checkpoint


class WeightAverage(pl.Callback):
    """Keeps an average of the weights over training; training itself never sees it, and stays bit-equal.

        m_0 = w_0,   m_t = m_{t-1} + share(t) (w_t - m_{t-1}),   t = 1, 2, ...

    w_t are the weights after step t: all parameters and all buffers of floating point, so that the running averages of
    batch norm are averaged like the weights that they belong to. Other buffers, which count, are those of the last
    step. A checkpoint holds the average, so that a resumed trial equals an unbroken one.
    """

    def __init__(self) -> None:
        self._average: dict[str, Tensor] = {}

    def share(self, step: int) -> float:
        """The share of the weights after this step, from 1, in the new average; above 0, at most 1."""
        raise NotImplementedError(f"{type(self).__name__} must define share(step)")

    def put_into(self, model: nn.Module) -> None:
        """Replace a network's weights by their average."""
        model.load_state_dict(self._average)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        current = _weights(pl_module)
        start = self._average or current  # of a checkpoint, on the CPU
        self._average = {name: start[name].to(tensor.device, copy=True) for name, tensor in current.items()}

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        current = _weights(pl_module)
        averaged = [name for name, tensor in current.items() if tensor.is_floating_point()]
        means, values = [self._average[name] for name in averaged], [current[name] for name in averaged]
        torch._foreach_lerp_(means, values, self.share(trainer.global_step))
        for name in current.keys() - set(averaged):
            self._average[name].copy_(current[name])

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint[_STATE] = self._average

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._average = checkpoint[_STATE]


def _weights(module: pl.LightningModule) -> dict[str, Tensor]:
    model = module.model
    assert isinstance(model, nn.Module)
    return model.state_dict()
