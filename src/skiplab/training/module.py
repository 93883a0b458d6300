"""The one LightningModule: a step is a pure function of the weights, the seed and the number of the step."""

from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from skiplab.blocks.connection import scheduled_connections
from skiplab.data.augmentation import Augmentation
from skiplab.data.dataset import Split
from skiplab.objectives.objective import Objective
from skiplab.objectives.training_batch import TrainingBatch
from skiplab.seeding import keyed_generator, keyed_seed, seed_globally
from skiplab.training.batches import Batches


class AblationModule(pl.LightningModule):
    """Trains a network on a split that stays in memory.

    The images of a step, its times and its noise come from generators keyed by (seed, purpose, step). Randomness inside
    the network comes from the global generators, which are seeded from (seed, step) at each step. So two arms see the
    same data and the same noise, and a resumed trial equals an uninterrupted one.

    With several ranks, each draws the whole batch and computes on its own rows, so that together they train on what a
    single process would. Randomness inside the network then comes from (seed, step, rank), and differs from that of a
    single process.

    Args:
        model: the network.
        objective: defines the loss.
        split: the training split; it is moved to the trainer's device unless it is mapped from a file.
        augmentation: changes each training batch.
        batch_size: images per step.
        seed: the trial's seed.
        optimizer: updates the network's parameters.
        scheduler: sets the learning rate of each step.
    """

    watched = False  # whether instruments measure the step that is about to begin

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        split: Split,
        *,
        augmentation: Augmentation,
        batch_size: int,
        seed: int,
        optimizer: torch.optim.Optimizer,
        scheduler: torch.optim.lr_scheduler.LRScheduler,
    ) -> None:
        super().__init__()
        self.model, self.objective = model, objective
        self.split, self.augmentation = split, augmentation
        self.batches = Batches(len(split), batch_size, seed)
        self.seed = seed
        self._optimizer, self._scheduler = optimizer, scheduler
        self._scheduled = scheduled_connections(model)

    def train_dataloader(self) -> Iterable[int]:
        """Numbers of steps in place of batches: `training_step` finds its images by `global_step`."""
        return range(self.trainer.max_steps)

    def on_fit_start(self) -> None:
        self.split = self.split.to(self.device)

    def training_step(self, *_: Any) -> Tensor:
        return self.mean_loss(self.draw(self.global_step))

    def mean_loss(self, batch: TrainingBatch) -> Tensor:
        return self.objective.loss_of(self.model, batch).mean()

    def draw(self, step: int) -> TrainingBatch:
        """This rank's rows of a step's batch; also seeds what the network draws, and tells it how far training is."""
        for connection in self._scheduled:
            connection.set_progress(min(1.0, step / max(1, self.trainer.max_steps - 1)))
        images, labels = self.split.at(self.batches.indices(step))
        augment = keyed_generator(self.seed, "augmentation", step, device=self.device)
        rank = self.global_rank
        seed_globally(keyed_seed(self.seed, f"model/{rank}" if rank else "model", step), self.device)
        generator = keyed_generator(self.seed, "noise", step, device=self.device)
        batch = self.objective.draw(self.augmentation(images, augment), labels, generator)
        num_rows = len(images) // self.trainer.world_size
        rows = slice(rank * num_rows, (rank + 1) * num_rows)
        return batch.map(lambda tensor: tensor[rows])

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return {
            "optimizer": self._optimizer,
            "lr_scheduler": {"scheduler": self._scheduler, "interval": "step"},
        }
