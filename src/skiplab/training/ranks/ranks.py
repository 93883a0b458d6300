"""What makes a Lightning trainer one of several ranks."""

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch import distributed

from skiplab.training.interrupt import StopWhenTold


class MeanGradient(pl.Callback):
    """Puts the mean over ranks in place of each gradient.

    All lie in one buffer in the parameters' order, so that sums are rounded alike in each step. The buckets of torch's
    own wrapper change after its first step, so that a resumed trial of three ranks or more could differ.
    """

    def on_after_backward(self, trainer, module) -> None:
        gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
        mean = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(mean)
        mean /= trainer.world_size
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, part in zip(gradients, mean.split(sizes), strict=True):
            gradient.copy_(part.view_as(gradient))


class MeanLoss(pl.Callback):
    """Puts the mean over ranks in place of a step's loss; callbacks behind it see the whole batch's, on every rank."""

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index) -> None:
        loss = outputs["loss"].detach().double()
        distributed.all_reduce(loss)
        outputs["loss"] = loss / trainer.world_size


class StopTogether(StopWhenTold):
    """Ends training on all ranks at the end of the step in which one of them has heard a signal."""

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index) -> None:
        heard = torch.tensor(self.interruption.signum or 0, device=module.device)
        distributed.all_reduce(heard, distributed.ReduceOp.MAX)
        # what is heard from here on is for the next step, else a rank would stop alone
        if heard:
            self.interruption.signum = int(heard)
            super().on_train_batch_end(trainer, module, outputs, batch, batch_index)


class RankEnvironment(LightningEnvironment):
    """Tells Lightning that the processes are there, and which of them this is."""

    @property
    def creates_processes_externally(self) -> bool:
        return True

    def local_rank(self) -> int:
        return distributed.get_rank()

    def node_rank(self) -> int:
        return 0


class RankStrategy(DDPStrategy):
    """Lightning's strategy without torch's wrapper, whose work is MeanGradient's, and without a launcher.

    The launcher would run the command line again, and set the number of threads.

    Args:
        backend: the process group's, 'gloo' or 'nccl'.
    """

    def __init__(self, backend: str) -> None:
        super().__init__(process_group_backend=backend)

    def configure_ddp(self) -> None: ...

    def _configure_launcher(self) -> None:
        self._launcher = None
