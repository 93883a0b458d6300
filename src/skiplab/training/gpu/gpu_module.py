"""The LightningModule for one GPU, which replays the steps that no instrument measures."""

from collections.abc import Callable
from typing import Any

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor

from skiplab.gradient_scaler import gradient_scaler
from skiplab.training.gpu.captured_step import CapturedStep, DeviceRates, fuse
from skiplab.training.module import AblationModule

_EAGER = 3  # number of first steps that aren't captured, also after a checkpoint


class GPUModule(AblationModule):
    """Trains like its parent, with a fused optimizer and captured steps where no instrument measures.

    A captured step does in `training_step` all that Lightning asks for one by one, so the later hooks do nothing.
    Weights and losses are bit-equal with and without. Two cases are never captured: a gradient scaler (precision
    16-mixed) decides on the host whether to step, and an optimizer without fused kernels reads its rate on the host.

    Args:
        captures: whether steps may be captured; the other arguments are those of `AblationModule`.
    """

    def __init__(self, *arguments: Any, captures: bool, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.captures = captures
        self._rates: DeviceRates | None = None
        self._captured: CapturedStep | None = None
        self._replays = False  # whether the current step is a replay

    def on_train_start(self) -> None:
        optimizer = self.trainer.optimizers[0]
        self._rates = DeviceRates(optimizer, self.device) if fuse(optimizer) else None
        self._captured = None
        if self.captures and self._rates is not None and gradient_scaler(self.trainer) is None:
            self._captured = CapturedStep(self.mean_loss, optimizer, self._rates, self._clip)
        self._first = self.global_step

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        ready = self.global_step >= self._first + _EAGER
        self._replays = self._captured is not None and ready and not self.watched

    def training_step(self, *arguments: Any) -> Tensor:
        if self._captured is None or not self._replays:
            return super().training_step(*arguments)
        return self._captured(self.draw(self.global_step))

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: torch.optim.Optimizer) -> None:
        if not self._replays:
            super().optimizer_zero_grad(epoch, batch_idx, optimizer)

    def backward(self, loss: Tensor, *arguments: Any, **settings: Any) -> None:
        if not self._replays:
            super().backward(loss, *arguments, **settings)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        if not self._replays:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: torch.optim.Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        if self._replays:
            assert optimizer_closure is not None  # runs training_step
            optimizer_closure()
        elif self._rates is None:
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        else:
            with self._rates.on_device():
                super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)

    def _clip(self) -> None:
        self.clip_gradients(self.trainer.optimizers[0], gradient_clip_val=self.trainer.gradient_clip_val)
