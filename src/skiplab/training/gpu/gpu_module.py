"""The LightningModule on one GPU, where a step that nothing looks into is replayed."""

import torch
from torch import Tensor

from skiplab.gradient_scaler import gradient_scaler
from skiplab.training.gpu.captured_step import CapturedStep, DeviceRates, fuse
from skiplab.training.module import AblationModule

_BY_HAND = 3  # first steps, also after a checkpoint


class GpuModule(AblationModule):
    """Trains like its parent, with a fused optimizer and, between the steps that instruments look into, captured steps.

    A captured step does at once, in `training_step`, what Lightning asks for one by one; what it asks for afterwards is
    then left out. Weights and losses are bit-equal with and without. A scaler of gradients (precision 16-mixed) decides
    on the host whether to step, and an optimizer without fused kernels reads its rate there: neither is captured.

    Args:
        captures: whether steps may be captured; the others are those of `AblationModule`.
    """

    def __init__(self, *arguments, captures: bool, **settings) -> None:
        super().__init__(*arguments, **settings)
        self.captures = captures

    def on_train_start(self) -> None:
        optimizer = self.trainer.optimizers[0]
        self._rates = DeviceRates(optimizer, self.device) if fuse(optimizer) else None
        self._captured = None
        if self.captures and self._rates is not None and gradient_scaler(self.trainer) is None:
            self._captured = CapturedStep(self.mean_loss, optimizer, self._rates, self._clip)
        self._first = self.global_step

    def on_train_batch_start(self, batch: int, batch_index: int) -> None:
        ready = self.global_step >= self._first + _BY_HAND
        self._replays = self._captured is not None and ready and not self.watched

    def training_step(self, batch: int, batch_index: int) -> Tensor:
        if not self._replays:
            return super().training_step(batch, batch_index)
        return self._captured(self.draw(self.global_step))

    def optimizer_zero_grad(self, epoch: int, batch_index: int, optimizer: torch.optim.Optimizer) -> None:
        if not self._replays:
            super().optimizer_zero_grad(epoch, batch_index, optimizer)

    def backward(self, loss: Tensor) -> None:
        if not self._replays:
            super().backward(loss)

    def configure_gradient_clipping(self, optimizer: torch.optim.Optimizer, **settings) -> None:
        if not self._replays:
            super().configure_gradient_clipping(optimizer, **settings)

    def optimizer_step(self, epoch: int, batch_index: int, optimizer, closure) -> None:
        if self._replays:
            closure()
        elif self._rates is None:
            super().optimizer_step(epoch, batch_index, optimizer, closure)
        else:
            with self._rates.on_device():
                super().optimizer_step(epoch, batch_index, optimizer, closure)

    def _clip(self) -> None:
        self.clip_gradients(self.trainer.optimizers[0], gradient_clip_val=self.trainer.gradient_clip_val)
