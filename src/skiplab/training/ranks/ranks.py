"""Makes a Lightning trainer one of several ranks."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch import distributed

from skiplab.training.interrupt import StopOnSignal


class MeanGradient(pl.Callback):
    """Replaces each gradient by its mean over ranks.

    All gradients are in one buffer in the order of the parameters, so that sums are rounded equally in every step. The
    buckets of torch's own wrapper change after its first step, so that a resumed trial of three or more ranks could
    differ.
    """

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        gradients = [parameter.grad for parameter in pl_module.parameters() if parameter.grad is not None]
        mean = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(mean)
        mean /= trainer.world_size
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, part in zip(gradients, mean.split(sizes), strict=True):
            gradient.copy_(part.view_as(gradient))


class MeanLoss(pl.Callback):
    """Replaces a step's loss by its mean over ranks, so that later callbacks see the loss of the whole batch."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["loss"].detach().double()
        distributed.all_reduce(loss)
        outputs["loss"] = loss / trainer.world_size


class StopTogether(StopOnSignal):
    """Ends training on all ranks at the end of the step in which a signal reached one of them."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        signum = torch.tensor(self.interruption.signum or 0, device=pl_module.device)
        distributed.all_reduce(signum, distributed.ReduceOp.MAX)
        # a signal that arrives from here on is for the next step, else this rank would stop alone
        if signum:
            self.interruption.signum = int(signum)
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)


class RankEnvironment(LightningEnvironment):
    """Tells Lightning that the processes exist, and which of them this is."""

    @property
    def creates_processes_externally(self) -> bool:
        return True

    def local_rank(self) -> int:
        return distributed.get_rank()

    def node_rank(self) -> int:
        return 0


class RankStrategy(DDPStrategy):
    """Lightning's strategy without torch's wrapper, which MeanGradient replaces, and without a launcher.

    The launcher would run the command line again and set the number of threads.

    Args:
        backend: of the process group, 'gloo' or 'nccl'.
    """

    def __init__(self, backend: str) -> None:
        super().__init__(process_group_backend=backend)

    def configure_ddp(self) -> None: ...

    def _configure_launcher(self) -> None:
        self._launcher = None
